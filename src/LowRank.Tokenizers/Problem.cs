using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json.Serialization;

namespace LowRank;

/// <summary>One problem, as values: what it is, where, what was found and expected, and what mends it. A front end
/// words it with its own names of settings (<see cref="Wording"/>).</summary>
/// <param name="Text">What was found, what was expected and what to do, in sentences that name settings as
/// values.</param>
public sealed record Problem(Words Text)
{
    /// <summary>A problem whose text names no setting.</summary>
    public Problem(string text) : this(Words.Plain(text)) { }

    /// <summary>What the problem is, for programs: the same in each version. Null if no program needs to tell it from
    /// others.</summary>
    public string? Code { get; init; }

    /// <summary>The file with its line, or whatever else is wrong; null if the text says it.</summary>
    public Words? Place { get; init; }

    /// <summary>The setting that is wrong; null if none is.</summary>
    public Setting? Setting { get; init; }

    /// <summary>What was found; null if only the text says it.</summary>
    public string? Found { get; init; }

    /// <summary>What was expected; null if only the text says it.</summary>
    public string? Expected { get; init; }

    /// <summary>The setting, with its value if that is known, that mends the problem; null if there is none. Front ends
    /// add it to the text.</summary>
    public Setting? Remedy { get; init; }

    /// <summary>A setting with another value than expected.</summary>
    public static Problem Of(Setting setting, object? found, string expected)
    {
        string given = Convert.ToString(found, CultureInfo.InvariantCulture) ?? "";
        return new Problem($"{setting} is {given}, expected {expected}")
            { Setting = setting, Found = given, Expected = expected };
    }

    /// <summary>The whole problem: place, text and remedy.</summary>
    public Words Statement
    {
        get
        {
            var words = new Words(0, 0);
            if (Place is not null) words.AppendFormatted(Words.Of($"{Place}: "));
            words.AppendFormatted(Text);
            if (Remedy is not null) words.AppendRemedy(Remedy);
            return words;
        }
    }

    /// <summary>The whole problem in a front end's words; null for the library's.</summary>
    public string In(Wording? wording) => Statement.In(wording);

    /// <inheritdoc/>
    public override string ToString() => In(null);
}

/// <summary>A setting that a message names. Each front end has its own name for it: an option of the command line, a
/// key of a recipe, a property.</summary>
/// <param name="Path">Its stable name; the full key, if recipes have it.</param>
/// <param name="Words">What it is, in words that fit into a sentence.</param>
public sealed record Setting(string Path, string Words)
{
    /// <summary>The value to give it; null for the setting itself.</summary>
    public string? Value { get; init; }

    /// <summary>A setting inside this one.</summary>
    /// <param name="inner">The rest of its path, with a dot before it; empty for the setting itself.</param>
    public Setting In(string inner) => inner.Length == 0 ? this : new Setting(Path + inner, Words + inner);

    /// <summary>The setting with a value.</summary>
    public Setting To(string value) => this with { Value = value };

    /// <summary>Names the setting in brackets, in front ends that have a name for it.</summary>
    [JsonIgnore]
    public SettingAside Aside => new(this);

    /// <inheritdoc/>
    public override string ToString() => Value is null ? Words : $"{Words}: {Value}";
}

/// <summary>A setting in brackets after the words that say it already; left out where a front end has no name for
/// it.</summary>
/// <param name="Setting">The setting, with its value if that matters.</param>
public sealed record SettingAside(Setting Setting);

/// <summary>How a front end words problems.</summary>
/// <param name="Name">Its name for a setting, with the value if the setting has one; null if it has none.</param>
public sealed record Wording(Func<Setting, string?> Name)
{
    /// <summary>What it calls files that its user has not named, by their paths.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>();

    /// <summary>Does work, and words its errors. The outermost front end has the last word.</summary>
    public T Do<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (e is IWorded)
        {
            ((IWorded)e).Word(this);
            throw;
        }
    }
}

/// <summary>An error whose message names settings as each front end calls them.</summary>
public interface IWorded
{
    /// <summary>Words the message.</summary>
    void Word(Wording wording);
}

/// <summary>Text that names settings as values, made from an interpolated string.</summary>
/// <remarks>In a sum, each part must be interpolated, or the compiler makes a string of it.</remarks>
[InterpolatedStringHandler]
public sealed class Words
{
    private readonly List<Piece> pieces = [];

    /// <summary>Called by the compiler.</summary>
    public Words(int literalLength, int formattedCount) { }

    [JsonConstructor]
    internal Words(IReadOnlyList<Piece> pieces) => this.pieces.AddRange(pieces);

    /// <summary>The text in parts, for files that keep it.</summary>
    [JsonInclude]
    internal IReadOnlyList<Piece> Pieces => pieces;

    /// <summary>The text of an interpolated string.</summary>
    public static Words Of(Words words) => words;

    /// <summary>Text that names no setting.</summary>
    public static Words Plain(string text)
    {
        var words = new Words(0, 0);
        words.AppendLiteral(text);
        return words;
    }

    /// <summary>Lines of text.</summary>
    public static Words Lines(Words heading, IEnumerable<Words> lines)
    {
        var words = new Words(0, 0);
        words.AppendFormatted(heading);
        foreach (Words line in lines) words.AppendFormatted(Of($"\n  - {line}"));
        return words;
    }

    /// <summary>Appends text.</summary>
    public void AppendLiteral(string text) => pieces.Add(new Piece(text));

    /// <summary>Appends a setting.</summary>
    public void AppendFormatted(Setting setting) => pieces.Add(new Piece(setting.ToString(), setting));

    /// <summary>Appends a setting in brackets, if a front end has a name for it.</summary>
    public void AppendFormatted(SettingAside aside) => pieces.Add(new Piece("", aside.Setting, PieceKind.Aside));

    /// <summary>Appends a whole problem.</summary>
    public void AppendFormatted(Problem? problem)
    {
        if (problem is not null) AppendFormatted(problem.Statement);
    }

    /// <summary>Appends other words.</summary>
    public void AppendFormatted(Words words) => pieces.AddRange(words.pieces);

    /// <summary>Appends a text.</summary>
    public void AppendFormatted(ReadOnlySpan<char> text) => pieces.Add(new Piece(text.ToString()));

    /// <summary>Appends a value.</summary>
    public void AppendFormatted<T>(T value, string? format = null) =>
        AppendLiteral(value is IFormattable formattable ? formattable.ToString(format, CultureInfo.CurrentCulture)
            : value?.ToString() ?? "");

    /// <summary>Appends what mends a problem: front ends that have a name for it say it.</summary>
    internal void AppendRemedy(Setting remedy) => pieces.Add(new Piece("", remedy, PieceKind.Remedy));

    /// <summary>The text in a front end's words; null for the library's.</summary>
    public string In(Wording? wording)
    {
        var text = new StringBuilder();
        foreach (Piece piece in pieces)
            text.Append(piece.Setting is not { } setting || wording?.Name(setting) is not { } name ? piece.Text
                : piece.Kind switch
                {
                    PieceKind.Aside => $" ({name})",
                    PieceKind.Remedy => $"{(Ends(text) ? " " : ". ")}Use {name}.",
                    _ => name,
                });
        foreach ((string path, string name) in wording?.Files ?? new Dictionary<string, string>())
            text.Replace(path, name);
        return text.ToString();
    }

    /// <inheritdoc/>
    public override string ToString() => In(null);

    private static bool Ends(StringBuilder text) => text.Length == 0 || text[^1] is '.' or '!' or '?' or ':';

    /// <summary>A part of the text.</summary>
    /// <param name="Text">Its text in the library's words.</param>
    /// <param name="Setting">The setting that it names; null for plain text.</param>
    /// <param name="Kind">How front ends that have a name for the setting say it.</param>
    internal sealed record Piece(string Text, Setting? Setting = null, PieceKind Kind = PieceKind.Name);

    /// <summary>How a setting is said.</summary>
    internal enum PieceKind
    {
        /// <summary>By its name.</summary>
        Name,

        /// <summary>By its name in brackets.</summary>
        Aside,

        /// <summary>As a sentence of its own.</summary>
        Remedy,
    }
}
