package mapping

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// adapter makes values of CEL of what it is given, maps in the order of their keys.
type adapter struct{ types.Adapter }

// NativeToValue returns v as a value of CEL.
func (a adapter) NativeToValue(v any) ref.Val {
	out := a.Adapter.NativeToValue(v)
	if m, ok := out.(traits.Mapper); ok {
		if _, done := m.(ordered); !done {
			return ordered{m}
		}
	}
	return out
}

// ordered is a map whose keys come in their order: CEL's come as Go's do, at random, and a rule gives the same result for the same claims.
type ordered struct{ traits.Mapper }

// Iterator goes over the keys.
func (m ordered) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := m.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int {
		if c, ok := a.(traits.Comparer); ok && a.Type() == b.Type() {
			if order, ok := c.Compare(b).(types.Int); ok {
				return int(order)
			}
		}
		return strings.Compare(a.Type().TypeName(), b.Type().TypeName())
	})
	return types.NewRefValList(types.DefaultTypeAdapter, keys).Iterator()
}

// AggregateSize is how much there is of the map, which it remembers.
func (m ordered) AggregateSize(sizer types.AggregateSizer) uint32 {
	if v, ok := m.Mapper.(types.AggregateSizeVisitor); ok {
		return v.AggregateSize(sizer)
	}
	return sizer.AggregateSize(m.Value())
}

// literalMap is a map that is written in an expression.
type literalMap struct {
	interpreter.InterpretableConstructor
}

// Exec returns the map.
func (m literalMap) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return inOrder(m.InterpretableConstructor.Exec(frame))
}

// Eval returns the map.
func (m literalMap) Eval(vars interpreter.Activation) ref.Val {
	return inOrder(m.InterpretableConstructor.Eval(vars))
}

func inOrder(v ref.Val) ref.Val {
	if m, ok := v.(traits.Mapper); ok {
		return ordered{m}
	}
	return v
}

// orderedLiterals has CEL make maps that are ordered, one of constants once.
func orderedLiterals(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	c, ok := i.(interpreter.InterpretableConstructor)
	if !ok || c.Type() != types.MapType {
		return i, nil
	}
	m := literalMap{c}
	for _, v := range c.InitVals() {
		if _, ok := v.(interpreter.InterpretableConst); !ok {
			return m, nil
		}
	}
	return interpreter.NewConstValue(i.ID(), m.Eval(interpreter.EmptyActivation())), nil
}
