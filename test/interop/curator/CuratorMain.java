/** Curator's framework and recipes. */
public final class CuratorMain {
    public static void main(String[] args) throws Exception {
        Peer.begin();
        FrameworkChecks.run();
        LockRecipeChecks.run();
        CacheRecipeChecks.run();
        NodeRecipeChecks.run();
        Peer.end();
    }
}
