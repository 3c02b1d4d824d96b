package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// The limits of an expression.
const (
	maxNodes   = 1_000   // of the syntax tree, with what macros make of it
	maxNesting = 2       // of all, exists, filter, map and the like within each other
	maxCost    = 200_000 // of CEL's cost model, for one evaluation
	maxMemory  = 100_000 // of CEL's: elements of one value, within each other, ten bytes of a text being one
	maxPattern = 500     // instructions of a compiled regular expression
	maxFaults  = 3       // of one expression that are reported
)

// expression is a compiled CEL expression. It is immutable and safe for concurrent use.
type expression struct {
	program cel.Program
	source  *ast.SourceInfo
	claims  []string // the top-level claims that it reads, sorted
	whole   bool     // it may read any claim
	user    bool     // it reads the user's attributes
}

// allowed are the functions of an expression, the operators and the macros' own among them. What CEL has besides (time, bytes, types) is refused: it is
// not needed, or reads time zones from the disk. Its libraries of text, list and regular expressions are not used: some of their functions make
// much out of little before anything counts it.
var allowed = slices.Concat(
	[]string{operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.Add, operators.Subtract, operators.Multiply,
		operators.Divide, operators.Modulo, operators.Negate, operators.In, operators.Index, operators.OptIndex, operators.OptSelect, operators.NotStrictlyFalse},
	Functions(),
)

// Functions returns the functions that an expression may call, without operators and macros. docs/mapping.md describes each.
func Functions() []string {
	return []string{
		"size", "string", "int", "double", "bool", "dyn", "contains", "startsWith", "endsWith", "matches",
		"lower", "upper", "lowerAscii", "upperAscii", "trim", "replace", "split", "substring", "join", "first", "list", "sort", "distinct",
		"regex.extract", "regex.extractAll", "regex.replace",
		"optional.of", "optional.ofNonZeroValue", "optional.none", "hasValue", "value", "or", "orValue",
	}
}

// environment is CEL as mappings have it. It is made once, and not before the first expression: that takes some milliseconds.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.CustomTypeAdapter(adapter{types.DefaultTypeAdapter}),
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("user", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("provider.name", cel.StringType),
		cel.Variable("provider.type", cel.StringType),
		cel.OptionalTypes(), ownFunctions,
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(50), cel.ParserErrorRecoveryLimit(maxFaults), cel.ExpressionNodeLimit(maxNodes), cel.RegexProgramSizeLimit(maxPattern),
	)
})

// compileExpression compiles text, which is a rule's source with its options blanked out: so lines and columns are those of the source.
func compileExpression(text string) (*expression, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("CEL: %w", err)
	}
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("there is no expression behind the options")
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, issueFaults(issues.Errors())
	}
	tree := checked.NativeRep()
	e := &expression{source: tree.SourceInfo()}
	if err := e.inspect(tree); err != nil {
		return nil, err
	}
	estimate, err := env.EstimateCost(checked, nil)
	switch {
	case err != nil:
		return nil, fmt.Errorf("CEL: estimate the cost: %w", err)
	case estimate.Min > maxCost:
		return nil, errors.New("the expression costs more than any sign-in may")
	}
	e.program, err = env.Program(checked, cel.CostTracking(prices{}), cel.CostLimit(maxCost), cel.MemoryLimit(maxMemory), cel.MemoryTracking(
		types.MemoryTrackerSizeCalculator(types.NewSizeCalculator(types.SizeCalculatorMaxDepth(maxDepth), types.SizeCalculatorMaxTraversal(maxElements))),
		types.MemoryTrackerSampleInterval(100)), cel.CustomDecoratorV2(orderedLiterals), cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(compiledPatterns()...))
	if err != nil {
		return nil, fmt.Errorf("CEL: %w", err)
	}
	return e, nil
}

func issueFaults(issues []*cel.Error) error {
	var said []string
	for _, i := range issues {
		s := i.Message
		if i.Location.Line() > 0 { // not of what the whole expression is too large for
			s = fmt.Sprintf("line %d, column %d: %s", i.Location.Line(), i.Location.Column()+1, s)
		}
		if len(said) < maxFaults && !slices.Contains(said, s) {
			said = append(said, s)
		}
	}
	return errors.New(strings.Join(said, "; "))
}

// at is a fault at a node of the expression.
func (e *expression) at(id int64, format string, args ...any) error {
	return errors.New(e.place(id) + fmt.Sprintf(format, args...))
}

func (e *expression) place(id int64) string {
	if _, known := e.source.GetOffsetRange(id); !known {
		return ""
	}
	where := e.source.GetStartLocation(id)
	return fmt.Sprintf("line %d, column %d: ", where.Line(), where.Column()+1)
}

// inspect refuses what CEL allows and a mapping does not, and notes what the expression reads.
func (e *expression) inspect(tree *ast.AST) error {
	if depth := nesting(tree.Expr()); depth > maxNesting {
		return fmt.Errorf("%d loops (all, exists, filter, map) stand within each other, at most %d may", depth, maxNesting)
	}
	var fault error
	named := 0 // mentions of claims that name the claim
	mentions := 0
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.IdentKind:
			switch x.AsIdent() {
			case "claims":
				mentions++
			case "user":
				e.user = true
			}
		case ast.SelectKind:
			if isClaims(x.AsSelect().Operand()) {
				e.claims, named = append(e.claims, x.AsSelect().FieldName()), named+1
			}
		case ast.CallKind:
			if name, ok := claimOfCall(x.AsCall()); ok {
				e.claims, named = append(e.claims, name), named+1
			}
			if err := e.call(x); err != nil && fault == nil {
				fault = err
			}
		case ast.StructKind:
			if fault == nil {
				fault = e.at(x.ID(), "messages are not available in a mapping")
			}
		}
	}))
	slices.Sort(e.claims)
	e.claims, e.whole = slices.Compact(e.claims), mentions > named
	return fault
}

func isClaims(x ast.Expr) bool { return x.Kind() == ast.IdentKind && x.AsIdent() == "claims" }

// claimOfCall returns the claim of claims["name"], claims[?"name"] and claims.?name.
func claimOfCall(call ast.CallExpr) (string, bool) {
	switch call.FunctionName() {
	case operators.Index, operators.OptIndex, operators.OptSelect:
		if args := call.Args(); len(args) == 2 && isClaims(args[0]) {
			return literal(args[1])
		}
	}
	return "", false
}

func literal(x ast.Expr) (string, bool) {
	if x.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := x.AsLiteral().(types.String)
	return string(s), ok
}

// patternArgument says which argument of a function is a regular expression, and whether it may have one group at most.
var patternArgument = map[string]struct {
	index int
	one   bool
}{"regex.extract": {1, true}, "regex.extractAll": {1, true}, "regex.replace": {1, false}, "matches": {0, false}}

// call checks the function of a call. A regular expression is a literal: it is compiled when the rule is saved, and nothing that a person can choose becomes one.
func (e *expression) call(x ast.Expr) error {
	call := x.AsCall()
	name := call.FunctionName()
	if !slices.Contains(allowed, name) {
		return e.at(x.ID(), "the function %s is not available in a mapping", name)
	}
	p, ok := patternArgument[name]
	if !ok {
		return nil
	}
	if name == "matches" && !call.IsMemberFunction() {
		p.index = 1
	}
	if len(call.Args()) <= p.index {
		return nil // CEL has refused it
	}
	pattern, ok := literal(call.Args()[p.index])
	if !ok {
		return e.at(x.ID(), "the regular expression of %s must be a text in quotes", name)
	}
	re, err := regexp.Compile(pattern)
	switch {
	case err != nil:
		return e.at(call.Args()[p.index].ID(), "%v", err)
	case p.one && re.NumSubexp() > 1:
		return e.at(call.Args()[p.index].ID(), "the regular expression of %s may have one group in ( ) at most; (?: ) does not count", name)
	}
	return nil
}

// nesting returns how many loops stand within each other. What optMap makes of itself is no loop: it goes over nothing.
func nesting(x ast.Expr) int {
	deepest := 0
	down := func(xs ...ast.Expr) {
		for _, x := range xs {
			deepest = max(deepest, nesting(x))
		}
	}
	switch x.Kind() {
	case ast.CallKind:
		if call := x.AsCall(); call.IsMemberFunction() {
			down(call.Target())
		}
		down(x.AsCall().Args()...)
	case ast.SelectKind:
		down(x.AsSelect().Operand())
	case ast.ListKind:
		down(x.AsList().Elements()...)
	case ast.MapKind:
		for _, entry := range x.AsMap().Entries() {
			down(entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := x.AsComprehension()
		down(c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result())
		if over := c.IterRange(); over.Kind() != ast.ListKind || over.AsList().Size() > 0 {
			deepest++
		}
		down(c.IterRange())
	}
	return deepest
}
