using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LowRank.Generation;

/// <summary>The parts of JSON's grammar. Values are written on one line, with at most one space after each colon and
/// comma: what both Python's and JavaScript's writers give, and no more room for a model to get lost in.</summary>
internal static class JsonGrammar
{
    private static readonly JsonSerializerOptions Unescaped =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly LiteralPart Quote = new(["\""]);

    // As many digits as 64 bits hold, and exponents of two: what is written is a finite number for every reader.
    private static readonly CharacterAutomaton Number = RegexAutomaton.Compile(
        @"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?", isSearch: false);

    private static readonly RulePart Object = new(nests: true), Array = new(nests: true), Value = new(nests: false);

    static JsonGrammar()
    {
        Value.Content = GraphPart.Either([Object, Array, AnyString, AnyNumber, Boolean, Null]);
        Object.Content = Enclosed('{', RepeatPart.Of(
            GraphPart.Chain(AnyString, Colon, Value), 0, null, Comma), '}');
        Array.Content = Enclosed('[', RepeatPart.Of(Value, 0, null, Comma), ']');
    }

    /// <summary>Between a name and its value.</summary>
    public static LiteralPart Colon { get; } = new([":", ": "]);

    /// <summary>Between two items.</summary>
    public static LiteralPart Comma { get; } = new([",", ", "]);

    public static LiteralPart Null { get; } = new(["null"]);

    public static LiteralPart Boolean { get; } = new(["true", "false"]);

    /// <summary>No value at all.</summary>
    public static LiteralPart Nothing { get; } = new([]);

    public static TextConstraint AnyString { get; } = String(CharacterAutomaton.Any);

    public static TextConstraint AnyNumber { get; } = new PatternPart(Number, CharacterEncoding.Plain);

    public static TextConstraint AnyValue() => Value;

    public static TextConstraint AnyObject() => Object;

    public static TextConstraint AnyArray() => Array;

    /// <summary>A string whose content matches.</summary>
    public static TextConstraint String(CharacterAutomaton content) =>
        GraphPart.Chain(Quote, new PatternPart(content, CharacterEncoding.JsonString), Quote);

    /// <summary>A string of a number of characters.</summary>
    public static TextConstraint String(int least, int? most) =>
        GraphPart.Chain(Quote, RepeatPart.Of(new PatternPart(OneCharacter, CharacterEncoding.JsonString), least,
            most, null), Quote);

    /// <summary>Something in brackets.</summary>
    public static TextConstraint Enclosed(char open, TextConstraint content, char close) =>
        GraphPart.Chain(new LiteralPart([open.ToString()]), content, new LiteralPart([close.ToString()]));

    /// <summary>A name and the colon after it, written in one way.</summary>
    public static TextConstraint Name(string name) => GraphPart.Chain(new LiteralPart([Quoted(name)]), Colon);

    /// <summary>A certain value.</summary>
    public static TextConstraint Exactly(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => Enclosed('{', Joined(
            [.. value.EnumerateObject().Select(each =>
                GraphPart.Chain(Name(each.Name), Exactly(each.Value)))]), '}'),
        JsonValueKind.Array => Enclosed('[', Joined([.. value.EnumerateArray().Select(Exactly)]), ']'),
        JsonValueKind.String => new LiteralPart([Quoted(value.GetString()!)]),
        JsonValueKind.Number => new LiteralPart([.. Spellings(value.GetRawText()).Distinct()]),
        _ => new LiteralPart([value.GetRawText()]),
    };

    private static CharacterAutomaton OneCharacter { get; } = RegexAutomaton.Compile(@"[\s\S]", isSearch: false);

    private static string Quoted(string text) => JsonSerializer.Serialize(text, Unescaped);

    private static TextConstraint Joined(TextConstraint[] items) =>
        GraphPart.Chain([.. items.SelectMany((item, i) => i == 0 ? (TextConstraint[])[item] : [Comma, item])]);

    // As given, and without an exponent or a fraction of zero.
    private static IEnumerable<string> Spellings(string number)
    {
        yield return number;
        if (DecimalNumber.TryParse(number) is { } value) yield return value.ToString();
    }
}

/// <summary>A decimal number of any size.</summary>
/// <param name="IsNegative">Whether it is below zero.</param>
/// <param name="Whole">The digits before the point, without leading zeros; "0" for none.</param>
/// <param name="Fraction">The digits after it, without trailing zeros.</param>
internal sealed record DecimalNumber(bool IsNegative, string Whole, string Fraction)
{
    private const int MostDigits = 400;

    public bool IsZero => Whole == "0" && Fraction.Length == 0;

    /// <summary>All digits as a number.</summary>
    public BigInteger Digits => BigInteger.Parse(Whole + Fraction, NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>Reads a JSON number; null if it has more than 400 digits.</summary>
    public static DecimalNumber? TryParse(string text)
    {
        int at = text.IndexOfAny(['e', 'E']);
        string mantissa = (at < 0 ? text : text[..at]).TrimStart('-');
        int exponent = 0;
        if (at >= 0 && !int.TryParse(text.AsSpan(at + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture,
            out exponent))
            return null;
        int point = mantissa.IndexOf('.', StringComparison.Ordinal);
        string whole = point < 0 ? mantissa : mantissa[..point], fraction = point < 0 ? "" : mantissa[(point + 1)..];
        if (Math.Abs((long)exponent) + mantissa.Length > MostDigits) return null;
        if (exponent > 0)
        {
            fraction = fraction.PadRight(exponent, '0');
            (whole, fraction) = (whole + fraction[..exponent], fraction[exponent..]);
        }
        else if (exponent < 0)
        {
            whole = whole.PadLeft(1 - exponent, '0');
            (whole, fraction) = (whole[..(whole.Length + exponent)], whole[(whole.Length + exponent)..] + fraction);
        }
        whole = whole.TrimStart('0');
        fraction = fraction.TrimEnd('0');
        bool isZero = whole.Length == 0 && fraction.Length == 0;
        return new DecimalNumber(text[0] == '-' && !isZero, whole.Length == 0 ? "0" : whole, fraction);
    }

    public override string ToString() =>
        new StringBuilder().Append(IsNegative ? "-" : "").Append(Whole).Append(Fraction.Length > 0 ? "." : "")
            .Append(Fraction).ToString();
}
