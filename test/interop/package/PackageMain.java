/** What shows that a server serves: nodes, transactions and watches. */
public final class PackageMain {
    public static void main(String[] args) throws Exception {
        Peer.begin();
        NodeChecks.run();
        MultiChecks.run();
        WatchChecks.run();
        Peer.end();
    }
}
