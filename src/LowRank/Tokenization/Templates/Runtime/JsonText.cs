using System.Globalization;
using System.Numerics;
using System.Text;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Writes values as JSON, as Python's <c>json.dumps</c> does.</summary>
/// <param name="Renderer">The rendering.</param>
/// <param name="EscapeNonAscii">Python's <c>ensure_ascii</c>.</param>
/// <param name="Indent">What a level is indented by; null writes all on one line.</param>
/// <param name="ItemSeparator">Between items.</param>
/// <param name="KeySeparator">Between key and value.</param>
/// <param name="SortKeys">Whether keys are sorted.</param>
internal sealed record JsonText(
    Renderer Renderer, bool EscapeNonAscii, string? Indent, string ItemSeparator, string KeySeparator, bool SortKeys)
{
    private readonly StringBuilder _result = new();

    /// <summary>Writes a value.</summary>
    public string Write(object value)
    {
        Append(value, 0);
        return _result.ToString();
    }

    private void Append(object value, int level)
    {
        Renderer.Budget.Spend(1);
        switch (value)
        {
            case string or MarkupValue:
                AppendText(Text.Of(value)!);
                break;
            case ListValue list:
                AppendGroup('[', list.Items, ']', level, item => Append(item, level + 1));
                break;
            case TupleValue tuple:
                AppendGroup('[', tuple.Items, ']', level, item => Append(item, level + 1));
                break;
            case DictionaryValue dictionary:
                AppendGroup('{', Keys(dictionary), '}', level, key => AppendPair(key, dictionary.Items[key], level));
                break;
            default:
                _result.Append(Simple(value) ?? throw TemplateFault.Type(
                    $"Object of type {TypeNames.Of(value)} is not JSON serializable"));
                break;
        }

        Renderer.Budget.CheckLength(_result.Length);
    }

    private IReadOnlyCollection<object> Keys(DictionaryValue dictionary) => SortKeys
        ? Sorting.Sort(Renderer, dictionary.Items.Keys, key => key)
        : dictionary.Items.Keys;

    private void AppendGroup(char open, IReadOnlyCollection<object> items, char close, int level, Action<object> append)
    {
        _result.Append(open);
        if (items.Count > 0)
        {
            Renderer.Budget.Enter();
            var first = true;
            foreach (var item in items)
            {
                _result.Append(first ? "" : ItemSeparator);
                first = false;
                NewLine(level + 1);
                append(item);
            }

            NewLine(level);
            Renderer.Budget.Leave();
        }

        _result.Append(close);
    }

    private void AppendPair(object key, object value, int level)
    {
        AppendText(Text.Of(key) ?? Simple(key) ?? throw TemplateFault.Type(
            $"keys must be str, int, float, bool or None, not {TypeNames.Of(key)}"));
        _result.Append(KeySeparator);
        Append(value, level + 1);
    }

    private void NewLine(int level)
    {
        if (Indent is not null)
        {
            Renderer.Budget.CheckLength(_result.Length + ((long)Indent.Length * level));
            Renderer.Budget.SpendCharacters((long)Indent.Length * level);
            _result.Append('\n').Insert(_result.Length, Indent, level);
        }
    }

    private static string? Simple(object value) => value switch
    {
        bool boolean => boolean ? "true" : "false",
        None => "null",
        BigInteger integer => Display.Integer(integer),
        double number when double.IsNaN(number) => "NaN",
        double number when double.IsInfinity(number) => number > 0 ? "Infinity" : "-Infinity",
        double number => FloatText.Shortest(number),
        _ => null,
    };

    private void AppendText(string text)
    {
        Renderer.Budget.SpendCharacters(text.Length);
        _result.Append('"');
        foreach (var character in text)
        {
            _ = character switch
            {
                '"' => _result.Append("\\\""),
                '\\' => _result.Append("\\\\"),
                '\n' => _result.Append("\\n"),
                '\r' => _result.Append("\\r"),
                '\t' => _result.Append("\\t"),
                '\f' => _result.Append("\\f"),
                '\b' => _result.Append("\\b"),
                < ' ' => _result.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                > '~' when EscapeNonAscii => _result.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                _ => _result.Append(character),
            };
        }

        _result.Append('"');
    }
}
