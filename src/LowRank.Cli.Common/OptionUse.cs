using System.CommandLine;
using System.CommandLine.Parsing;

namespace LowRank.Cli.Common;

/// <summary>When a command's options take effect, or which values they may have. Declared beside the command's work
/// (<see cref="CommandAction"/>) and checked together before it starts.</summary>
/// <remarks>An option counts as given once it is on the command line, even with its default value. A value that
/// switches something off (0 for --top-k) is never refused.</remarks>
public sealed record OptionUse
{
    private OptionUse(IReadOnlyList<Option> options) => Options = options;

    /// <summary>The options that the rule is about; none for a rule about arguments.</summary>
    public IReadOnlyList<Option> Options { get; }

    /// <summary>Whether the rule says when the options take effect, rather than which values they may have.</summary>
    public bool SaysWhen { get; private init; }

    /// <summary>What is wrong judging by the command line only, as sentences without a full stop.</summary>
    private Func<ParseResult, IEnumerable<string>> Check { get; init; } = _ => [];

    /// <summary>What is wrong with the option given what the command has opened.</summary>
    private Func<object, string?> CheckOpened { get; init; } = _ => null;

    /// <summary>Options that always take effect.</summary>
    public static OptionUse Always(params Option[] options) => new(options) { SaysWhen = true };

    /// <summary>An option without effect for a reason: the end of a sentence that begins with the option, or
    /// null.</summary>
    public static OptionUse Unless(Option option, Func<ParseResult, string?> reason) => new([option])
    {
        SaysWhen = true,
        Check = parsed => IsGiven(parsed, option) && reason(parsed) is { } words ? [$"{option.Name} {words}"] : [],
    };

    /// <summary>Options that take effect only together with another.</summary>
    public static OptionUse With(Option<bool> other, params Option[] options) => new(options)
    {
        SaysWhen = true,
        Check = parsed => parsed.GetValue(other) ? []
        : options.Where(option => IsGiven(parsed, option))
        .Select(option => $"{option.Name} has no effect without {other.Name}"),
    };

    /// <summary>An option without effect given what the command has opened, such as a model of another task.</summary>
    /// <typeparam name="T">What is opened.</typeparam>
    public static OptionUse UnlessOpened<T>(Option option, Func<T, string?> reason) where T : class => new([option])
    {
        SaysWhen = true,
        CheckOpened = opened => opened is T known && reason(known) is { } words ? $"{option.Name} {words}" : null,
    };

    /// <summary>The smallest value of an option.</summary>
    public static OptionUse AtLeast<T>(Option<T> option, T least) where T : struct, IComparable<T> =>
        Values(option, value => value.CompareTo(least) >= 0, $"at least {least}");

    /// <summary>The smallest value of an option that may be left out.</summary>
    public static OptionUse AtLeast<T>(Option<T?> option, T least) where T : struct, IComparable<T> =>
        Values(option, value => value is not { } given || given.CompareTo(least) >= 0, $"at least {least}");

    /// <summary>The values that an option may have.</summary>
    /// <param name="option">The option.</param>
    /// <param name="isValid">Whether a value is valid.</param>
    /// <param name="expected">What is expected, in words.</param>
    public static OptionUse Values<T>(Option<T> option, Func<T, bool> isValid, string expected) => new([option])
    {
        Check = parsed => parsed.GetValue(option) is var value && isValid(value!) ? []
            : [$"{option.Name} is {FormattableString.Invariant($"{value}")}, expected {expected}"],
    };

    /// <summary>Data files, folders or patterns that must exist; <c>-</c> is standard input.</summary>
    /// <param name="option">The option.</param>
    /// <param name="missing">What is missing at a path, as whole sentences.</param>
    public static OptionUse Data(Option<string[]> option, Func<string, IEnumerable<string>> missing) => new([option])
    {
        Check = parsed =>
            Grouped(option, [.. (parsed.GetValue(option) ?? []).Where(path => path != "-").SelectMany(missing)]),
    };

    // Equal problems are reported once.
    private static IEnumerable<string> Grouped(Option option, string[] missing)
    {
        const int Shown = 3;
        IEnumerable<string> first = missing.Take(Shown).Select(problem => $"{option.Name}: {problem.TrimEnd('.')}");
        return missing.Length <= Shown ? first
            : first.Append($"{option.Name}: {missing.Length - Shown} more paths like these");
    }

    /// <summary>Files or folders that must exist.</summary>
    /// <param name="expected">What is expected there, in words.</param>
    /// <param name="paths">The paths; null for those that are not given.</param>
    public static OptionUse There(string expected, Func<ParseResult, IEnumerable<string?>> paths) => Rule(parsed =>
        paths(parsed).OfType<string>().Where(path => !Path.Exists(path))
            .Select(path => $"{path} does not exist; expected {expected}"));

    /// <summary>The number of threads. A huge number would create threads one by one until memory runs out.</summary>
    public static OptionUse Threads(Option<int?> option) =>
        Values(option, value => value is null or (>= 1 and <= 1024), "1 to 1024");

    /// <summary>A folder that a command creates and that must still be empty.</summary>
    public static OptionUse NewFolder(Option<string> option) => new([option])
    {
        Check = parsed => parsed.GetValue(option) is { } folder && Directory.Exists(folder)
            && Directory.EnumerateFileSystemEntries(folder).Any()
            ? [$"{folder} is not empty; choose another {option.Name}, or remove it first"] : [],
    };

    /// <summary>Any other problem that the command line alone shows.</summary>
    public static OptionUse Rule(Func<ParseResult, IEnumerable<string>> check) => new([]) { Check = check };

    /// <summary>All problems that the command line alone shows.</summary>
    public static IReadOnlyList<string> Problems(IEnumerable<OptionUse> uses, ParseResult parsed) =>
        [.. uses.SelectMany(use => use.Check(parsed)).Distinct()];

    /// <summary>All problems given what the command has opened.</summary>
    public static IReadOnlyList<string> Problems(IEnumerable<OptionUse> uses, ParseResult parsed, object opened) =>
        [.. uses.Where(use => use.Options.Any(option => IsGiven(parsed, option))).Select(use => use.CheckOpened(opened))
            .OfType<string>()];

    private static bool IsGiven(ParseResult parsed, Option option) =>
        parsed.GetResult(option) is OptionResult { Implicit: false };
}
