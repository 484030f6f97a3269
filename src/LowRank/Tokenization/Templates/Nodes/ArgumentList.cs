using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>The arguments that a call, a filter or a test is written with.</summary>
/// <param name="Positional">The arguments by place.</param>
/// <param name="Named">The arguments by name.</param>
/// <param name="Unpacked">What follows <c>*</c>, or null.</param>
/// <param name="UnpackedNamed">What follows <c>**</c>, or null.</param>
internal sealed record ArgumentList(
    IReadOnlyList<Expression> Positional,
    IReadOnlyList<(string Name, Expression Value)> Named,
    Expression? Unpacked,
    Expression? UnpackedNamed)
{
    /// <summary>No arguments.</summary>
    public static ArgumentList Empty { get; } = new([], [], null, null);

    /// <summary>Evaluates the arguments.</summary>
    public Arguments Evaluate(Renderer renderer)
    {
        if (Positional.Count == 0 && Named.Count == 0 && Unpacked is null && UnpackedNamed is null)
        {
            return Arguments.Empty;
        }

        List<object> positional = [.. Positional.Select(argument => argument.Evaluate(renderer))];
        if (Unpacked is not null)
        {
            positional.AddRange(Iteration.Of(renderer, Unpacked.Evaluate(renderer)));
        }

        var named = new List<KeyValuePair<string, object>>();
        foreach (var (name, value) in Named)
        {
            Add(named, name, value.Evaluate(renderer));
        }

        if (UnpackedNamed is not null)
        {
            AddUnpacked(renderer, named, UnpackedNamed.Evaluate(renderer));
        }

        SpendText(renderer, positional);
        return new Arguments(positional, named);
    }

    private static void AddUnpacked(Renderer renderer, List<KeyValuePair<string, object>> named, object value)
    {
        if (value is not DictionaryValue dictionary)
        {
            throw TemplateFault.Type($"argument after ** must be a mapping, not {TypeNames.Of(value)}");
        }

        foreach (var (key, item) in dictionary.Items)
        {
            renderer.Budget.Spend(1);
            Add(named, Text.Of(key) ?? throw TemplateFault.Type("keywords must be strings"), item);
        }
    }

    private static void Add(List<KeyValuePair<string, object>> named, string name, object value)
    {
        if (named.Exists(argument => argument.Key == name))
        {
            throw TemplateFault.Type($"got multiple values for keyword argument '{name}'");
        }

        named.Add(KeyValuePair.Create(name, value));
    }

    // Functions read their texts: what is passed counts, so that no call is free.
    private static void SpendText(Renderer renderer, List<object> values)
    {
        foreach (var value in values)
        {
            renderer.Budget.SpendCharacters(Text.Of(value)?.Length ?? 0);
        }
    }
}
