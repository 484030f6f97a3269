using System.CommandLine;
using System.CommandLine.Parsing;

namespace LowRank.Cli.Common;

/// <summary>When options of a command take effect, or what their values may be: declared beside the command's work
/// (<see cref="CommandAction"/>), and checked for all at once before it.</summary>
/// <remarks>An option counts as given as soon as it stands on the command line, its default value included; a value
/// that asks for nothing (0 of --top-k) is never refused.</remarks>
public sealed record OptionUse
{
    private OptionUse(IReadOnlyList<Option> options) => Options = options;

    /// <summary>The options that it is of; none for a rule about arguments.</summary>
    public IReadOnlyList<Option> Options { get; }

    /// <summary>Whether it says when they take effect, rather than which values they may have.</summary>
    public bool SaysWhen { get; private init; }

    /// <summary>What is wrong by the command line alone, as whole sentences without a full stop.</summary>
    private Func<ParseResult, IEnumerable<string>> Check { get; init; } = _ => [];

    /// <summary>What is wrong with the option beside what the command has opened.</summary>
    private Func<object, string?> CheckOpened { get; init; } = _ => null;

    /// <summary>Options that always take effect.</summary>
    public static OptionUse Always(params Option[] options) => new(options) { SaysWhen = true };

    /// <summary>An option that takes none for a reason: the end of a sentence that begins with it, or null.</summary>
    public static OptionUse Unless(Option option, Func<ParseResult, string?> reason) => new([option])
    {
        SaysWhen = true,
        Check = parsed => IsGiven(parsed, option) && reason(parsed) is { } words ? [$"{option.Name} {words}"] : [],
    };

    /// <summary>Options that take effect with another alone.</summary>
    public static OptionUse With(Option<bool> other, params Option[] options) => new(options)
    {
        SaysWhen = true,
        Check = parsed => parsed.GetValue(other) ? []
        : options.Where(option => IsGiven(parsed, option))
        .Select(option => $"{option.Name} has no effect without {other.Name}"),
    };

    /// <summary>An option that takes none with what the command has opened, such as a model of another task.</summary>
    /// <typeparam name="T">What is opened.</typeparam>
    public static OptionUse UnlessOpened<T>(Option option, Func<T, string?> reason) where T : class => new([option])
    {
        SaysWhen = true,
        CheckOpened = opened => opened is T known && reason(known) is { } words ? $"{option.Name} {words}" : null,
    };

    /// <summary>The smallest value of an option.</summary>
    public static OptionUse AtLeast<T>(Option<T> option, T least) where T : struct, IComparable<T> =>
        Values(option, value => value.CompareTo(least) >= 0, $"at least {least}");

    /// <summary>The smallest value of an option that need not have one.</summary>
    public static OptionUse AtLeast<T>(Option<T?> option, T least) where T : struct, IComparable<T> =>
        Values(option, value => value is not { } given || given.CompareTo(least) >= 0, $"at least {least}");

    /// <summary>The values that an option may have.</summary>
    /// <param name="option">The option.</param>
    /// <param name="isValid">Whether a value may stand there.</param>
    /// <param name="expected">What is expected, in words.</param>
    public static OptionUse Values<T>(Option<T> option, Func<T, bool> isValid, string expected) => new([option])
    {
        Check = parsed => parsed.GetValue(option) is var value && isValid(value!) ? []
            : [$"{option.Name} is {FormattableString.Invariant($"{value}")}, expected {expected}"],
    };

    /// <summary>Data files, folders or patterns that have to be there; <c>-</c> is the standard input.</summary>
    /// <param name="option">The option.</param>
    /// <param name="missing">What is missing at a path, as whole sentences.</param>
    public static OptionUse Data(Option<string[]> option, Func<string, IEnumerable<string>> missing) => new([option])
    {
        Check = parsed =>
            Grouped(option,
            [.. (parsed.GetValue(option) ?? []).Where(path => path != "-")
            .SelectMany(missing)]),
    };

    // Equal problems are one.
    private static IEnumerable<string> Grouped(Option option, string[] missing)
    {
        const int told = 3;
        IEnumerable<string> first = missing.Take(told).Select(problem => $"{option.Name}: {problem.TrimEnd('.')}");
        return missing.Length <= told ? first
            : first.Append($"{option.Name}: {missing.Length - told} more paths like these");
    }

    /// <summary>Files or folders that have to be there.</summary>
    /// <param name="expected">What is expected there, in words.</param>
    /// <param name="paths">The paths; null for those that are not given.</param>
    public static OptionUse There(string expected, Func<ParseResult, IEnumerable<string?>> paths) => Rule(parsed =>
        paths(parsed).OfType<string>().Where(path => !Path.Exists(path))
            .Select(path => $"{path} is not there; expected {expected}"));

    /// <summary>Threads of a process: more than any machine has would be made one by one until memory ends.</summary>
    public static OptionUse Threads(Option<int?> option) =>
        Values(option, value => value is null or (>= 1 and <= 1024), "1 to 1024");

    /// <summary>A folder that a command makes, and that holds nothing yet.</summary>
    public static OptionUse NewFolder(Option<string> option) => new([option])
    {
        Check = parsed => parsed.GetValue(option) is { } folder && Directory.Exists(folder)
            && Directory.EnumerateFileSystemEntries(folder).Any()
            ? [$"{folder} is not empty; choose another {option.Name}, or remove it first"] : [],
    };

    /// <summary>Whatever else is wrong by the command line alone.</summary>
    public static OptionUse Rule(Func<ParseResult, IEnumerable<string>> check) => new([]) { Check = check };

    /// <summary>All that is wrong by the command line alone.</summary>
    public static IReadOnlyList<string> Problems(IEnumerable<OptionUse> uses, ParseResult parsed) =>
        [.. uses.SelectMany(use => use.Check(parsed)).Distinct()];

    /// <summary>All that is wrong beside what the command has opened.</summary>
    public static IReadOnlyList<string> Problems(IEnumerable<OptionUse> uses, ParseResult parsed, object opened) =>
        [.. uses.Where(use => use.Options.Any(option => IsGiven(parsed, option))).Select(use => use.CheckOpened(opened))
            .OfType<string>()];

    private static bool IsGiven(ParseResult parsed, Option option) =>
        parsed.GetResult(option) is OptionResult { Implicit: false };
}
