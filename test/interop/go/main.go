// The go-zookeeper client against the server under test: nodes, multi, watches, identities, its lock, reconnection.
// Version 1.0 has no persistent watches.
package main

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

var open = zk.WorldACL(zk.PermAll)

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func connect(address string, session time.Duration) (*zk.Conn, <-chan zk.Event) {
	c, events, err := zk.Connect([]string{address}, session, zk.WithLogger(quiet{}))
	ok(err)
	awaitState(events, zk.StateHasSession)
	return c, events
}

func client() *zk.Conn {
	c, _ := connect(server, timeout)
	return c
}

// awaitState skips the session's events before this one.
func awaitState(events <-chan zk.Event, state zk.State) {
	deadline := time.After(timeout)
	for {
		select {
		case event := <-events:
			if event.State == state {
				return
			}
		case <-deadline:
			panic(fmt.Sprintf("state %v never came", state))
		}
	}
}

func expect(events <-chan zk.Event, kind zk.EventType, path string) {
	select {
	case event := <-events:
		equal(fmt.Sprint(kind, " ", path), fmt.Sprint(event.Type, " ", event.Path), "event")
	case <-time.After(timeout):
		panic(fmt.Sprintf("%v %s never came", kind, path))
	}
}

func create(c *zk.Conn, path, data string) string {
	return must(c.Create(path, []byte(data), zk.FlagPersistent, open))
}

func stat(c *zk.Conn, path string) *zk.Stat {
	found, s, err := c.Exists(path)
	ok(err)
	if !found {
		return nil
	}
	return s
}

func nodes() {
	c := client()
	defer c.Close()
	equal("/g", create(c, "/g", "one"), "path")
	data, s, err := c.Get("/g")
	ok(err)
	equal("one 0 3", fmt.Sprint(string(data), " ", s.Version, " ", s.DataLength), "data and stat")
	equal(int32(1), must(c.Set("/g", []byte("two"), 0)).Version, "version")
	_, err = c.Set("/g", nil, 0)
	fails(zk.ErrBadVersion, err)
	_, err = c.Create("/g", nil, 0, open)
	fails(zk.ErrNodeExists, err)
	_, err = c.Create("/none/child", nil, 0, open)
	fails(zk.ErrNoNode, err)
	_, _, err = c.Get("/none")
	fails(zk.ErrNoNode, err)
	create(c, "/g/b", "")
	create(c, "/g/a", "")
	names, s, err := c.Children("/g")
	ok(err)
	sort.Strings(names)
	equal("a,b 2 2", fmt.Sprint(strings.Join(names, ","), " ", s.NumChildren, " ", s.Cversion), "children and stat")
	fails(zk.ErrNotEmpty, c.Delete("/g", -1))
	fails(zk.ErrBadVersion, c.Delete("/g/a", 4))
	ok(c.Delete("/g/a", 0))
	ok(c.Delete("/g/b", -1))
	equal("/g", must(c.Sync("/g")), "sync")
	ok(c.Delete("/g", 1))
	equal((*zk.Stat)(nil), stat(c, "/g"), "stat")
	big := bytes.Repeat([]byte{1, 2, 3, 255}, 250_000)
	must(c.Create("/g-big", big, 0, open))
	back, _, err := c.Get("/g-big")
	ok(err)
	equal(true, bytes.Equal(big, back), "a million bytes")
}

func modes() {
	c := client()
	defer c.Close()
	create(c, "/gm", "")
	equal("/gm/e", must(c.Create("/gm/e", nil, zk.FlagEphemeral, open)), "path")
	equal(c.SessionID(), stat(c, "/gm/e").EphemeralOwner, "owner")
	_, err := c.Create("/gm/e/child", nil, 0, open)
	fails(zk.ErrNoChildrenForEphemerals, err)
	equal("/gm/s-0000000001", must(c.Create("/gm/s-", nil, zk.FlagSequence, open)), "path")
	equal("/gm/es-0000000002", must(c.Create("/gm/es-", nil, zk.FlagEphemeralSequential, open)), "path")
	equal("/gm/box", must(c.CreateContainer("/gm/box", nil, zk.FlagContainer, open)), "path")
	equal("/gm/ttl", must(c.CreateTTL("/gm/ttl", nil, zk.FlagTTL, open, time.Hour)), "path")
	path := must(c.CreateTTL("/gm/ts-", nil, zk.FlagPersistentSequentialWithTTL, open, time.Hour))
	equal("/gm/ts-0000000005", path, "path")
	equal(int64(0), stat(c, "/gm/ttl").EphemeralOwner, "owner")
	path = must(c.CreateProtectedEphemeralSequential("/gm/p-", nil, open))
	equal(true, strings.HasPrefix(path, "/gm/_c_") && strings.HasSuffix(path, "p-0000000006"), path)
}

func multi() {
	c := client()
	defer c.Close()
	responses := must(c.Multi(
		&zk.CreateRequest{Path: "/gx", Data: []byte("1"), Acl: open},
		&zk.CreateRequest{Path: "/gx/s-", Acl: open, Flags: zk.FlagSequence},
		&zk.SetDataRequest{Path: "/gx", Data: []byte("22"), Version: 0},
		&zk.CheckVersionRequest{Path: "/gx", Version: 1},
		&zk.DeleteRequest{Path: "/gx/s-0000000000", Version: 0},
	))
	equal(5, len(responses), "responses")
	equal("/gx/s-0000000000", responses[1].String, "path")
	equal("1 2 1", fmt.Sprint(responses[2].Stat.Version, " ", responses[2].Stat.DataLength, " ",
		responses[2].Stat.NumChildren), "stat at that point")
	responses, err := c.Multi(
		&zk.CreateRequest{Path: "/gx/new", Acl: open},
		&zk.CheckVersionRequest{Path: "/gx", Version: 8},
		&zk.DeleteRequest{Path: "/gx", Version: -1},
	)
	fails(zk.ErrBadVersion, err)
	equal(3, len(responses), "responses")
	equal(nil, responses[0].Error, "first part")
	fails(zk.ErrBadVersion, responses[1].Error)
	equal((*zk.Stat)(nil), stat(c, "/gx/new"), "what was rolled back")
}

func watches() {
	c, other := client(), client()
	defer c.Close()
	defer other.Close()
	_, _, events, err := c.ExistsW("/gw")
	ok(err)
	create(other, "/gw", "")
	expect(events, zk.EventNodeCreated, "/gw")
	_, _, events, err = c.GetW("/gw")
	ok(err)
	create(other, "/gw/a", "")
	must(other.Set("/gw", []byte("x"), -1))
	expect(events, zk.EventNodeDataChanged, "/gw")
	_, _, events, err = c.ChildrenW("/gw")
	ok(err)
	must(other.Set("/gw", []byte("y"), -1))
	ok(other.Delete("/gw/a", -1))
	expect(events, zk.EventNodeChildrenChanged, "/gw")
	_, _, events, err = c.ExistsW("/gw")
	ok(err)
	_, _, children, err := c.ChildrenW("/gw")
	ok(err)
	ok(other.Delete("/gw", -1))
	expect(events, zk.EventNodeDeleted, "/gw")
	expect(children, zk.EventNodeDeleted, "/gw")
}

func acls() {
	c, ann, root := client(), client(), client()
	defer c.Close()
	defer ann.Close()
	defer root.Close()
	ok(ann.AddAuth("digest", []byte("ann:secret")))
	ok(root.AddAuth("digest", []byte(super)))
	acl := zk.DigestACL(zk.PermAll, "ann", "secret")
	must(ann.Create("/gacl", []byte("x"), 0, acl))
	_, _, err := c.Get("/gacl")
	fails(zk.ErrNoAuth, err)
	_, err = c.Create("/gacl/child", nil, 0, open)
	fails(zk.ErrNoAuth, err)
	for _, allowed := range []*zk.Conn{ann, root} {
		data, _, err := allowed.Get("/gacl")
		ok(err)
		equal("x", string(data), "data")
	}
	got, s, err := ann.GetACL("/gacl")
	ok(err)
	equal(acl[0], got[0], "acl")
	_, err = ann.SetACL("/gacl", open, s.Aversion+1)
	fails(zk.ErrBadVersion, err)
	equal(int32(1), must(ann.SetACL("/gacl", open, s.Aversion)).Aversion, "aversion")
	must(c.Set("/gacl", []byte("y"), -1))
	_, err = c.Create("/gacl-bad", nil, 0, zk.AuthACL(zk.PermAll))
	fails(zk.ErrInvalidACL, err)
}

func lock() {
	const holders, rounds = 4, 10
	inside, total := make(chan struct{}, 1), make(chan int, holders)
	for i := 0; i < holders; i++ {
		c := client()
		defer c.Close()
		go func() {
			l := zk.NewLock(c, "/glock", open)
			done := 0
			for ; done < rounds; done++ {
				if l.Lock() != nil {
					break
				}
				select {
				case inside <- struct{}{}:
					<-inside
				default: // somebody else is inside
					done = -1000
				}
				if l.Unlock() != nil {
					break
				}
			}
			total <- done
		}()
	}
	for i := 0; i < holders; i++ {
		equal(rounds, <-total, "rounds alone inside the lock")
	}
}

func reconnect(how string) func() {
	return func() {
		path := "/gr-" + how
		c, events := connect(server, timeout)
		defer c.Close()
		session := c.SessionID()
		must(c.Create(path, []byte("x"), zk.FlagEphemeral, open))
		_, _, watch, err := c.GetW(path)
		ok(err)
		ask(how)
		awaitState(events, zk.StateHasSession)
		equal(session, c.SessionID(), "session")
		data, s, err := c.Get(path)
		ok(err)
		equal(fmt.Sprint("x ", session), fmt.Sprint(string(data), " ", s.EphemeralOwner), "data and owner")
		must(c.Set(path, []byte("y"), -1))
		expect(watch, zk.EventNodeDataChanged, path)
	}
}

func missed() {
	c, events := connect(relay, timeout)
	other := client()
	defer c.Close()
	defer other.Close()
	create(other, "/gmissed", "")
	_, _, data, err := c.GetW("/gmissed")
	ok(err)
	_, _, children, err := c.ChildrenW("/gmissed")
	ok(err)
	_, _, created, err := c.ExistsW("/gmissed/a")
	ok(err)
	ask("freeze")
	must(other.Set("/gmissed", []byte("x"), -1))
	create(other, "/gmissed/a", "")
	ask("thaw")
	awaitState(events, zk.StateHasSession)
	expect(data, zk.EventNodeDataChanged, "/gmissed")
	expect(children, zk.EventNodeChildrenChanged, "/gmissed")
	expect(created, zk.EventNodeCreated, "/gmissed/a")
}

func expiry() {
	observer := client()
	defer observer.Close()
	c, events := connect(relay, 3*time.Second)
	defer c.Close()
	session := c.SessionID()
	must(c.Create("/gexpiry", nil, zk.FlagEphemeral, open))
	_, _, gone, err := observer.ExistsW("/gexpiry")
	ok(err)
	ask("freeze")
	expect(gone, zk.EventNodeDeleted, "/gexpiry")
	ask("thaw")
	awaitState(events, zk.StateExpired)
	awaitState(events, zk.StateHasSession)
	equal(false, c.SessionID() == session, "the same session again")
}

// Its srvr and cons expect formats that 3.9 no longer writes.
func ruok() {
	equal(true, zk.FLWRuok([]string{server}, timeout)[0], "ruok")
}

func main() {
	check("create, get, set, exists, children, delete, sync and their refusals", nodes)
	check("every create mode", modes)
	check("multi commits and rolls back", multi)
	check("exists, data and child watches", watches)
	check("digest identities, ACLs, super user", acls)
	check("lock recipe", lock)
	check("watches hear what was missed while disconnected", missed)
	check("an expired session is replaced", expiry)
	check("the four letter word ruok", ruok)
	check("kill-restart: session, ephemeral and watch survive", reconnect("kill-restart"))
	check("stop-restart: session, ephemeral and watch survive", reconnect("stop-restart"))
	finish()
}
