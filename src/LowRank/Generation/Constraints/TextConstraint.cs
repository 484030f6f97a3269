using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace LowRank.Generation;

/// <summary>What a model may write: a set of texts, composed from parts. Immutable and thread-safe.</summary>
/// <remarks>Regular expressions and JSON Schemas are checked and compiled when the constraint is made; <see
/// cref="Compile"/> prepares it for a model's tokens. A compiled constraint only allows tokens after which a text of
/// the set can still be completed.</remarks>
public abstract class TextConstraint
{
    private const int MostNested = 100;

    private protected TextConstraint(int depth)
    {
        if (depth > MostNested)
            throw new InputException($"A constraint is nested more than {MostNested} deep. Make it flatter.");
        Depth = depth;
    }

    /// <summary>Equal for constraints that were made in the same way.</summary>
    internal string Identity { get; private set; } = "";

    /// <summary>How deep parts are nested in it.</summary>
    internal int Depth { get; }

    /// <summary>Whether the empty text is one of its texts.</summary>
    internal abstract bool IsNullable { get; }

    /// <summary>Exactly this text. Where it contains the text of a special token (such as <c>[TOOL_CALLS]</c>), the
    /// model may write that token for it.</summary>
    public static TextConstraint Text(string text) =>
        new LiteralPart([Checked(text)]).Made("text", text);

    /// <summary>Texts that match a regular expression as a whole.</summary>
    /// <param name="pattern">As in ECMA-262 (flag u), without look-around, backreferences and word boundaries; anchors
    /// at its ends may be left out. At most 1,000 repetitions and 20,000 states.</param>
    /// <exception cref="InputException">The pattern is not valid, not supported or too large; says at which
    /// character.</exception>
    public static TextConstraint Regex(string pattern)
    {
        CharacterAutomaton automaton;
        try
        {
            automaton = RegexAutomaton.Compile(Checked(pattern), isSearch: false);
        }
        catch (InputException e)
        {
            throw new InputException($"The regular expression {e.Message}.");
        }
        if (automaton.IsEmpty) throw new InputException($"The regular expression \"{pattern}\" matches no text.");
        return new PatternPart(automaton, CharacterEncoding.Plain).Made("regex", pattern);
    }

    /// <summary>One of several texts.</summary>
    /// <exception cref="InputException">There is no text.</exception>
    public static TextConstraint Choice(params IReadOnlyList<string> texts)
    {
        if (texts.Count == 0) throw new InputException("A choice has no texts. Expected at least one.");
        return new LiteralPart([.. texts.Select(Checked)]).Made("choice", [.. texts]);
    }

    /// <summary>A text of one of several constraints.</summary>
    /// <exception cref="InputException">There is no constraint.</exception>
    public static TextConstraint AnyOf(params IReadOnlyList<TextConstraint> constraints)
    {
        if (constraints.Count == 0) throw new InputException("A choice has no constraints. Expected at least one.");
        return GraphPart.Either(constraints).Made("any", [.. constraints.Select(each => each.Identity)]);
    }

    /// <summary>A text of each constraint, one after the other.</summary>
    public static TextConstraint Sequence(params IReadOnlyList<TextConstraint> constraints) =>
        GraphPart.Chain(constraints).Made("sequence", [.. constraints.Select(each => each.Identity)]);

    /// <summary>Several texts of a constraint.</summary>
    /// <param name="constraint">The constraint of each text.</param>
    /// <param name="min">How many at least.</param>
    /// <param name="max">How many at most; null for any number.</param>
    /// <param name="separator">What stands between two of them; null for nothing.</param>
    /// <exception cref="InputException">The numbers are negative or out of order.</exception>
    public static TextConstraint Repeat(
        TextConstraint constraint, int min = 0, int? max = null, TextConstraint? separator = null)
    {
        if (min < 0 || max < min)
            throw new InputException(
                $"A part is to be repeated at least {min} and at most {max?.ToString(CultureInfo.InvariantCulture)} " +
                "times. Expected numbers from 0 on, in order.");
        string name = string.Create(CultureInfo.InvariantCulture, $"repeat {min} {max}");
        return RepeatPart.Of(constraint, min, max, separator)
            .Made(name, constraint.Identity, separator?.Identity ?? "");
    }

    /// <summary>Any JSON object, written on one line with at most one space after each colon and comma, nested at most
    /// 64 deep.</summary>
    public static TextConstraint Json() => new GraphPart(
        2, 0, 1, [(0, JsonGrammar.AnyObject(), 1)]).Made("json");

    /// <summary>JSON values that a JSON Schema (draft 2020-12) allows, written as <see cref="Json"/> says, with
    /// properties in the schema's order.</summary>
    /// <param name="schema">The schema. Of its keywords, docs/constraints.md lists those that are supported.</param>
    /// <exception cref="InputException">The schema is invalid, allows nothing, is too large or uses keywords that are
    /// not supported; names each by its path (a JSON Pointer).</exception>
    public static TextConstraint JsonSchema(JsonElement schema) =>
        new GraphPart(2, 0, 1, [(0, SchemaCompiler.Compile(schema), 1)]).Made("schema", schema.GetRawText());

    /// <summary>Prepares the constraint for a model's tokens. The vocabulary keeps the last ones, so that requests with
    /// the same constraint share it.</summary>
    /// <exception cref="InputException">The constraint is too large, or the tokenizer cannot write any of its
    /// texts.</exception>
    public TokenConstraint Compile(TokenVocabulary vocabulary)
    {
        ArgumentNullException.ThrowIfNull(vocabulary);
        return vocabulary.Compiled(this);
    }

    // Lone surrogates have no bytes.
    private static string Checked(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i])) continue;
            if (!char.IsSurrogatePair(text, i))
                throw new InputException($"\"{text}\" has half of a surrogate pair at character {i + 1}.");
            i++;
        }
        return text;
    }

    private TextConstraint Made(string how, params IReadOnlyList<string> from)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string part in (string[])[how, .. from])
        {
            byte[] bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }
        Identity = Convert.ToHexString(hash.GetHashAndReset());
        return this;
    }
}
