/** Every method of the Java client, group by group. */
public final class ClientMain {
    public static void main(String[] args) throws Exception {
        Peer.begin();
        NodeChecks.run();
        CreateModeChecks.run();
        AsyncChecks.run();
        MultiChecks.run();
        WatchChecks.run();
        WatchRemovalChecks.run();
        AclChecks.run();
        QuotaChecks.run();
        LimitChecks.run();
        SessionChecks.run();
        RestartChecks.run();
        Peer.end();
    }
}
