using System.Collections.Frozen;
using System.Numerics;

namespace LowRank.Jinja;

/// <summary>The tests by name.</summary>
internal static class TestTable
{
    private static readonly FrozenDictionary<string, TestFunction> Tests = new Dictionary<string, TestFunction>
    {
        ["defined"] = Plain(value => value is not UndefinedValue),
        ["undefined"] = Plain(value => value is UndefinedValue),
        ["none"] = Plain(value => value is None),
        ["boolean"] = Plain(value => value is bool),
        ["true"] = Plain(value => value is true),
        ["false"] = Plain(value => value is false),
        ["integer"] = Plain(value => value is BigInteger),
        ["float"] = Plain(value => value is double),
        ["number"] = Plain(value => value is bool or BigInteger or double),
        ["string"] = Plain(value => value is string or MarkupValue),
        ["mapping"] = Plain(value => value is DictionaryValue),
        ["sequence"] = Plain(value => value is string or MarkupValue or ListValue or TupleValue or DictionaryValue
            or RangeValue or UndefinedValue),
        ["iterable"] = Plain(value => value is string or MarkupValue or ListValue or TupleValue or DictionaryValue
            or DictionaryView or RangeValue or IteratorValue or LoopValue or UndefinedValue),
        ["callable"] = Plain(Calls.IsCallable),
        ["escaped"] = Plain(value => value is MarkupValue),
        ["odd"] = Remainder(2, 1),
        ["even"] = Remainder(2, 0),
        ["divisibleby"] = (renderer, value, arguments) =>
            HasRemainder(renderer, value, arguments.Bind("divisibleby", 1, "num")[0]!, BigInteger.Zero),
        ["lower"] = Case(CaseMapping.IsLower),
        ["upper"] = Case(CaseMapping.IsUpper),
        ["filter"] = Plain(value => Text.Of(value) is { } name && FilterTable.Has(name)),
        ["test"] = Plain(value => Text.Of(value) is { } name && Problem(name) is null),
        ["sameas"] = (_, value, arguments) => IsSame(value, arguments.Bind("sameas", 1, "other")[0]!),
        ["in"] = (renderer, value, arguments) =>
            Comparison.Contains(renderer, arguments.Bind("in", 1, "seq")[0]!, value),
        ["eq"] = Equality(true),
        ["=="] = Equality(true),
        ["equalto"] = Equality(true),
        ["ne"] = Equality(false),
        ["!="] = Equality(false),
        ["gt"] = Order(">", order => order > 0),
        [">"] = Order(">", order => order > 0),
        ["greaterthan"] = Order(">", order => order > 0),
        ["ge"] = Order(">=", order => order >= 0),
        [">="] = Order(">=", order => order >= 0),
        ["lt"] = Order("<", order => order < 0),
        ["<"] = Order("<", order => order < 0),
        ["lessthan"] = Order("<", order => order < 0),
        ["le"] = Order("<=", order => order <= 0),
        ["<="] = Order("<=", order => order <= 0),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>What is wrong with the name of a test, or null.</summary>
    public static string? Problem(string name) => Tests.ContainsKey(name) ? null : $"there is no test named '{name}'";

    /// <summary>Applies a test.</summary>
    public static bool Apply(Renderer renderer, string name, object value, Arguments arguments)
    {
        renderer.Budget.Spend(1);
        return Tests.TryGetValue(name, out var test)
            ? test(renderer, value, arguments)
            : throw new TemplateException(Problem(name)!);
    }

    private static TestFunction Plain(Func<object, bool> test) => (_, value, arguments) =>
    {
        arguments.BindPositional("the test", 0, 0);
        return test(value);
    };

    private static TestFunction Case(Func<string, bool> test) => (renderer, value, arguments) =>
    {
        arguments.BindPositional("the test", 0, 0);
        Cost.Charge(renderer, value);
        return test(Display.Text(renderer, value));
    };

    private static TestFunction Equality(bool expected) => (renderer, value, arguments) =>
        Comparison.Equal(renderer, value, arguments.BindPositional("the test", 1, 1)[0]!) == expected;

    private static TestFunction Order(string operation, Func<int?, bool> accept) => (renderer, value, arguments) =>
        accept(Comparison.Order(renderer, value, arguments.BindPositional("the test", 1, 1)[0]!, operation));

    private static TestFunction Remainder(BigInteger divisor, BigInteger expected) => (renderer, value, arguments) =>
    {
        arguments.BindPositional("the test", 0, 0);
        return HasRemainder(renderer, value, divisor, expected);
    };

    private static bool HasRemainder(Renderer renderer, object value, object divisor, BigInteger expected) =>
        Comparison.Equal(renderer, Arithmetic.Modulo(renderer, value, divisor), expected);

    // Python stores small integers and constants only once, and templates compare those this way.
    private static bool IsSame(object value, object other) => ReferenceEquals(value, other)
        || (value is bool one && other is bool two && one == two)
        || (value is BigInteger first && other is BigInteger second && first == second
            && first >= -5 && first <= 256)
        || (value is string text && other is string another && text == another);
}

/// <summary>The function of a test.</summary>
internal delegate bool TestFunction(Renderer renderer, object value, Arguments arguments);
