using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Values;

/// <summary>
/// What a name, attribute or element that does not exist evaluates to: prints as nothing, is false and empty, and any other
/// use is an error.
/// </summary>
/// <param name="Problem">The sentence that a use reports.</param>
internal sealed record UndefinedValue(string Problem)
{
    /// <summary>A variable that nobody gave.</summary>
    public static UndefinedValue Variable(string name) => new($"{Display.Quote(name)} is undefined");

    /// <summary>An attribute or element that a value lacks.</summary>
    public static UndefinedValue Member(object owner, object key)
    {
        var type = owner is None ? "None" : TypeNames.Of(owner) + " object";
        return Values.Text.Of(key) is { } name
            ? new UndefinedValue($"'{type}' has no attribute {Display.Quote(name)}")
            : new UndefinedValue($"{type} has no element {Display.Brief(key)}");
    }

    /// <summary>An attribute that the sandbox does not give out.</summary>
    public static UndefinedValue Unsafe(object owner, string name) =>
        new($"access to attribute {Display.Quote(name)} of '{TypeNames.Of(owner)}' object is unsafe");

    /// <summary>The fault of using the value.</summary>
    public TemplateFault Use() => new(Problem);
}
