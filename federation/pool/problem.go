package pool

import (
	"strconv"
	"strings"

	"github.com/weir-id/weir/federation/fault"
)

// Problem is one thing that is wrong with an input: where, in the field names of the API model, and what to do.
// A message never holds a value of the input, which could be a secret.
type Problem struct {
	Path    string // UserPools[0].Clients[1].CallbackURLs[0]
	Message string // a clause without a full stop: must be an absolute https URL
}

// String returns path and message.
func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// Problems is every problem of one input. As an error it is the cause of the fault.Invalid that
// Create, Update and Plan return: errors.As finds it.
type Problems []Problem

// Error returns one problem per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// add appends a problem.
func (ps *Problems) add(path, message string) {
	*ps = append(*ps, Problem{Path: path, Message: message})
}

// under appends problems found within the part of the input at path.
func (ps *Problems) under(path string, found []Problem) {
	for _, p := range found {
		switch {
		case path == "":
		case p.Path == "":
			p.Path = path
		default:
			p.Path = path + "." + p.Path
		}
		*ps = append(*ps, p)
	}
}

// maxPublicProblems bounds what a client is told; the log has them all.
const maxPublicProblems = 20

// fault returns the problems as a fault.Invalid, nil where there is none.
func (ps Problems) fault() error {
	if len(ps) == 0 {
		return nil
	}
	shown := ps[:min(len(ps), maxPublicProblems)]
	public := strings.ReplaceAll(shown.Error(), "\n", "; ")
	if more := len(ps) - len(shown); more > 0 {
		public += "; and " + strconv.Itoa(more) + " more"
	}
	return fault.New(fault.Invalid, public+".", ps)
}

// at returns the path of an element of a list.
func at(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// entry returns the path of an entry of a map or of a named thing. A name that could
// break a line or the path's form is quoted.
func entry(list, name string) string {
	if q := strconv.Quote(name); len(q) != len(name)+2 || strings.ContainsAny(name, "[]") || name == "" {
		name = q
	}
	return list + "[" + name + "]"
}
