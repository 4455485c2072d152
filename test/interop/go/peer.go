// The program's side of the line protocol with the runner.
//
// A check runs in a goroutine of its own with a deadline, so one that hangs fails alone and the rest still run.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	timeout      = 30 * time.Second
	checkTimeout = 90 * time.Second
)

var (
	server = os.Getenv("ZW_SERVER")
	relay  = os.Getenv("ZW_RELAY")
	super  = os.Getenv("ZW_SUPER")

	input = bufio.NewReader(os.Stdin)
	count = 0
)

func say(line string) { fmt.Println(line) }

// ask has the runner act on the server and returns when that is done.
func ask(what string) {
	say("ask " + what)
	answer, err := input.ReadString('\n')
	if err != nil || answer != "done\n" {
		panic(fmt.Sprintf("the runner said %q", answer))
	}
}

func check(name string, body func()) {
	count++
	say("begin " + name)
	done := make(chan string, 1)
	go func() {
		defer func() {
			why := ""
			if failure := recover(); failure != nil {
				why = fmt.Sprintf("%v at %s", failure, where())
			}
			done <- why
		}()
		body()
	}()
	why := ""
	select {
	case why = <-done:
	case <-time.After(checkTimeout):
		why = fmt.Sprintf("not finished after %v", checkTimeout)
	}
	if why == "" {
		say("ok " + name)
	} else {
		say("not ok " + name + " :: " + strings.ReplaceAll(why, "\n", " "))
	}
}

// where names the lines of our files on the panicking stack.
func where() string {
	callers := make([]uintptr, 50)
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
	var lines []string
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.File, "/main.go") {
			lines = append(lines, fmt.Sprintf("main.go:%d", frame.Line))
		}
		if !more {
			return strings.Join(lines, " ")
		}
	}
}

func finish() {
	say(fmt.Sprintf("end %d", count))
	os.Exit(0)
}

// must takes what a call returned and panics if the last of it is an error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(expected, got any, what string) {
	if expected != got {
		panic(fmt.Sprintf("%s: expected <%v>, got <%v>", what, expected, got))
	}
}

func fails(expected error, got error) {
	if !errors.Is(got, expected) {
		panic(fmt.Sprintf("error: expected <%v>, got <%v>", expected, got))
	}
}
