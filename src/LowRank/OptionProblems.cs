using System.Globalization;

namespace LowRank;

/// <summary>What is wrong with a record of options, said all at once.</summary>
/// <param name="record">The record's name.</param>
internal sealed class OptionProblems(string record)
{
    private readonly List<string> all = [];

    /// <summary>The problems so far, a sentence each.</summary>
    public IReadOnlyList<string> All => all;

    /// <summary>Adds a problem.</summary>
    /// <param name="option">The option.</param>
    /// <param name="what">The rest of the sentence.</param>
    public void Add(string option, string what) => all.Add($"{record}.{option} {what}");

    /// <summary>Adds a problem where an option is given that has no effect.</summary>
    public void AddIf(bool isWrong, string option, string what)
    {
        if (isWrong) Add(option, what);
    }

    /// <summary>Requires a value.</summary>
    public void Require(string option, object? value) =>
        AddIf(value is null, option, "is null. Leave it out for its default.");

    /// <summary>Requires a text that is not blank.</summary>
    public void RequireText(string option, string? value) =>
        AddIf(string.IsNullOrWhiteSpace(value), option, $"is {(value is null ? "null" : "empty")}. Leave it out for " +
            "its default.");

    /// <summary>Requires a number of at least so much, or none.</summary>
    public void RequireLeast(string option, long? value, long least) =>
        AddIf(value < least, option, string.Create(
            CultureInfo.InvariantCulture, $"is {value}, expected at least {least}."));

    /// <summary>Requires one of an enumeration's values.</summary>
    public void RequireDefined<T>(string option, T value) where T : struct, Enum =>
        AddIf(!Enum.IsDefined(value), option, $"is {value}, expected one of {string.Join(", ", Enum.GetNames<T>())}.");

    /// <summary>Adds what reading an option's value finds wrong, which names the option itself.</summary>
    public void AddOf(Func<object> read)
    {
        try
        {
            AdaptationRecipe.Wording().Do(read);
        }
        catch (InputException error)
        {
            all.AddRange(error.Problems);
        }
    }

    /// <summary>Reports all problems.</summary>
    /// <param name="others">Those of other records.</param>
    /// <exception cref="InputException">There are problems.</exception>
    public void ThrowIfAny(params IReadOnlyList<string> others)
    {
        if (all.Count + others.Count > 0) throw new InputException("The options cannot be used:", [.. all, .. others]);
    }
}
