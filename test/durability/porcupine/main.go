// Checks histories of registers with versions for linearizability, with porcupine.
//
// In: one JSON object per line, {"ops": [...]}. Out: one line each, "ok", or "not linearizable: KEY", or "no answer: KEY"
// where the search took too long.
//
// A register begins with version 0. Every write that takes place adds one to the version. An operation whose outcome
// nobody knows may take place at any time behind its call, also after everything else, which is as good as never.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

const limit = 60 * time.Second

type op struct {
	Client int    `json:"client"`
	Key    string `json:"key"`
	Kind   string `json:"kind"` // write, conditional, read
	Value  string `json:"value"`
	On     int    `json:"on"`     // conditional: the version it asks for
	Result string `json:"result"` // ok, badversion, open
	// Of a write that took place the version it made; of a read the version and Value it saw.
	Version int   `json:"version"`
	Call    int64 `json:"call"` // microseconds
	Return  int64 `json:"return"`
}

type register struct {
	version int
	value   string
}

func step(state, input, _ interface{}) (bool, interface{}) {
	now, o := state.(register), input.(op)
	next := register{now.version + 1, o.Value}
	switch {
	case o.Kind == "read":
		return now.version == o.Version && now.value == o.Value, now
	case o.Result == "open":
		if o.Kind == "conditional" && now.version != o.On {
			return true, now
		}
		return true, next
	case o.Result == "badversion":
		return now.version != o.On, now
	case o.Kind == "conditional" && now.version != o.On:
		return false, now
	}
	return next.version == o.Version, next
}

func check(ops []op) string {
	byKey := map[string][]porcupine.Operation{}
	for _, o := range ops {
		end := o.Return
		if o.Result == "open" {
			end = math.MaxInt64
		}
		byKey[o.Key] = append(byKey[o.Key], porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: end})
	}
	keys := make([]string, 0, len(byKey))
	for key := range byKey {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	model := porcupine.Model{
		Init: func() interface{} { return register{0, "start"} },
		Step: step,
	}
	for _, key := range keys {
		switch porcupine.CheckOperationsTimeout(model, byKey[key], limit) {
		case porcupine.Illegal:
			return "not linearizable: " + key
		case porcupine.Unknown:
			return "no answer: " + key
		}
	}
	return "ok"
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var history struct {
			Ops []op `json:"ops"`
		}
		if err := json.Unmarshal(line, &history); err != nil {
			fmt.Println("not a history:", err)
			continue
		}
		fmt.Println(check(history.Ops))
	}
}
