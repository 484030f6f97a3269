using System.Collections.Frozen;
using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The attributes and methods of values: those of Python that the immutable sandbox lets templates use.</summary>
internal static class Members
{
    private static readonly FrozenSet<string> ListMutators = FrozenSet.ToFrozenSet(
        ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]);

    private static readonly FrozenSet<string> DictionaryMutators = FrozenSet.ToFrozenSet(
        ["clear", "pop", "popitem", "setdefault", "update"]);

    /// <summary>The attribute or method of a value, or null where it has none of that name.</summary>
    public static object? Find(Renderer renderer, object value, string name)
    {
        if (name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal)
            && value is not DictionaryValue && (value is not UndefinedValue || name == "__class__"))
        {
            return UndefinedValue.Unsafe(value, name);
        }

        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        return value switch
        {
            string or MarkupValue => Method(TextMethods.Find(name), value, name),
            ListValue when ListMutators.Contains(name) => UndefinedValue.Unsafe(value, name),
            ListValue or TupleValue => OfSequence(value, name),
            DictionaryValue when DictionaryMutators.Contains(name) => UndefinedValue.Unsafe(value, name),
            DictionaryValue => Method(DictionaryMethods.Find(name), value, name),
            NamespaceValue space => OfNamespace(space, name),
            LoopValue loop => LoopMembers.Find(renderer, loop, name),
            CyclerValue cycler => OfCycler(cycler, name),
            MacroValue macro => OfMacro(macro, name),
            RangeValue range => OfRange(range, name),
            bool or BigInteger or double => NumberMethods.Find(value, name),
            _ => null,
        };
    }

    /// <summary>A method with its object.</summary>
    public static FunctionValue? Method(FilterFunction? method, object self, string name) => method is null
        ? null
        : new FunctionValue(name, (renderer, arguments) =>
        {
            Cost.Charge(renderer, self);
            return method(renderer, self, arguments);
        });

    private static object? OfSequence(object value, string name)
    {
        if (value is TupleValue { Names: { } names } tuple)
        {
            for (var i = 0; i < names.Count; i++)
            {
                if (names[i] == name)
                {
                    return tuple.Items[i];
                }
            }
        }

        return Method(SequenceMethods.Find(name, value is ListValue), value, name);
    }

    private static object? OfNamespace(NamespaceValue space, string name) =>
        !space.Attributes.TryGetValue(name, out var value) ? null
        : name.StartsWith('_') ? UndefinedValue.Unsafe(space, name)
        : value;

    private static object? OfCycler(CyclerValue cycler, string name) => name switch
    {
        "current" => cycler.Current,
        "next" => new FunctionValue(name, (_, _) => cycler.Next()),
        "reset" => new FunctionValue(name, (_, _) =>
        {
            cycler.Reset();
            return None.Value;
        }),
        _ => null,
    };

    private static object? OfMacro(MacroValue macro, string name) => name switch
    {
        "name" => macro.Definition.Name,
        "arguments" => new TupleValue([.. macro.Definition.Parameters.Select(parameter => parameter.Name)]),
        "catch_kwargs" => macro.Definition.UsesNamedRest,
        "catch_varargs" => macro.Definition.UsesPositionalRest,
        "caller" => macro.Definition.UsesCaller,
        _ => null,
    };

    private static object? OfRange(RangeValue range, string name) => name switch
    {
        "start" => new BigInteger(range.Start),
        "stop" => new BigInteger(range.Stop),
        "step" => new BigInteger(range.Step),
        _ => Method(SequenceMethods.Find(name, false), range, name),
    };
}
