using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>Values as text: Python's <c>str</c> and <c>repr</c>.</summary>
internal static class Display
{
    private const int BriefLength = 60;

    // Python refuses to print longer integers (sys.set_int_max_str_digits).
    private const int MaximumDigits = 4300;

    /// <summary>Python's <c>str</c>: strings unchanged, undefined values as an empty text.</summary>
    public static string Text(Renderer renderer, object value) => value switch
    {
        string text => text,
        MarkupValue markup => markup.Text,
        UndefinedValue => "",
        _ => Representation(renderer, value),
    };

    /// <summary>Python's <c>repr</c>: strings quoted.</summary>
    public static string Representation(Renderer renderer, object value)
    {
        var result = new StringBuilder();
        Append(renderer, result, value);
        return result.ToString();
    }

    /// <summary>Quotes a string as Python does.</summary>
    public static string Quote(string text)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        var result = new StringBuilder(text.Length + 2).Append(quote);
        for (var i = 0; i < text.Length; i++)
        {
            var character = text[i];
            if (character == quote || character == '\\')
            {
                result.Append('\\').Append(character);
            }
            else if (char.IsSurrogatePair(text, i))
            {
                AppendRune(result, new Rune(text[i], text[++i]));
            }
            else if (character is >= ' ' and < '\x7f')
            {
                result.Append(character);
            }
            else
            {
                AppendSpecial(result, character);
            }
        }

        return result.Append(quote).ToString();
    }

    /// <summary>A value for a message, shortened if it is long; never fails.</summary>
    public static string Brief(object value)
    {
        var text = value switch
        {
            string or MarkupValue => Quote(Jinja.Text.Of(value)!),
            BigInteger number when number.GetBitLength() < 256 => number.ToString(CultureInfo.InvariantCulture),
            bool or double or None => Simple(value),
            _ => $"a value of type {TypeNames.Of(value)}",
        };
        return text.Length <= BriefLength ? text : text[..BriefLength] + "...";
    }

    /// <summary>An integer in decimal digits.</summary>
    public static string Integer(BigInteger value)
    {
        var text = value.GetBitLength() > 4 * MaximumDigits ? null : value.ToString(CultureInfo.InvariantCulture);
        return text is null || text.Length > MaximumDigits + 1
            ? throw TemplateException.Value($"Exceeds the limit ({MaximumDigits} digits) for integer string conversion")
            : text;
    }

    private static string Simple(object value) => value switch
    {
        bool boolean => boolean ? "True" : "False",
        double number => FloatText.Shortest(number),
        BigInteger number => Integer(number),
        None => "None",
        string text => Quote(text),
        MarkupValue markup => $"Markup({Quote(markup.Text)})",
        UndefinedValue => "Undefined",
        RangeValue { Step: 1 } range => $"range({range.Start}, {range.Stop})",
        RangeValue range => $"range({range.Start}, {range.Stop}, {range.Step})",
        MacroValue macro => $"<Macro {Quote(macro.Definition.Name)}>",
        IteratorValue iterator => $"<{iterator.TypeName} object>",
        FunctionValue function => $"<built-in method {function.Name}>",
        CyclerValue => "<Cycler object>",
        _ => throw new InvalidOperationException($"no text for {value.GetType().Name}"),
    };

    private static void Append(Renderer renderer, StringBuilder result, object value)
    {
        renderer.Budget.Spend(1);
        switch (value)
        {
            case ListValue list:
                AppendItems(renderer, result, "[", list.Items, "]");
                break;
            case TupleValue tuple:
                AppendItems(renderer, result, "(", tuple.Items, tuple.Items.Count == 1 ? ",)" : ")");
                break;
            case DictionaryValue dictionary:
                AppendPairs(renderer, result, dictionary.Items);
                break;
            case DictionaryView view:
                AppendItems(renderer, result, TypeNames.Of(view) + "([", view.Items, "])");
                break;
            case NamespaceValue space:
                result.Append("<Namespace ");
                AppendPairs(renderer, result, space.Attributes.Select(
                    pair => KeyValuePair.Create((object)pair.Key, pair.Value)));
                result.Append('>');
                break;
            case LoopValue loop:
                result.Append(CultureInfo.InvariantCulture, $"<LoopContext {loop.Index + 1}/{loop.Length(renderer)}>");
                break;
            default:
                result.Append(Simple(value));
                break;
        }

        renderer.Budget.CheckLength(result.Length);
    }

    private static void AppendItems(
        Renderer renderer, StringBuilder result, string open, IEnumerable<object> items, string close)
    {
        renderer.Budget.Enter();
        result.Append(open);
        var first = true;
        foreach (var item in items)
        {
            result.Append(first ? "" : ", ");
            first = false;
            Append(renderer, result, item);
        }

        result.Append(close);
        renderer.Budget.Leave();
    }

    private static void AppendPairs(
        Renderer renderer, StringBuilder result, IEnumerable<KeyValuePair<object, object>> pairs)
    {
        renderer.Budget.Enter();
        result.Append('{');
        var first = true;
        foreach (var (key, value) in pairs)
        {
            result.Append(first ? "" : ", ");
            first = false;
            Append(renderer, result, key);
            result.Append(": ");
            Append(renderer, result, value);
        }

        result.Append('}');
        renderer.Budget.Leave();
    }

    private static void AppendSpecial(StringBuilder result, char character)
    {
        _ = character switch
        {
            '\n' => result.Append("\\n"),
            '\r' => result.Append("\\r"),
            '\t' => result.Append("\\t"),
            _ when Rune.TryCreate(character, out var rune) => AppendRune(result, rune),
            _ => result.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
        };
    }

    private static StringBuilder AppendRune(StringBuilder result, Rune rune) => Characters.IsPrintable(rune)
        ? result.Append(rune.ToString())
        : rune.Value switch
        {
            <= 0xff => result.Append(CultureInfo.InvariantCulture, $"\\x{rune.Value:x2}"),
            <= 0xffff => result.Append(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}"),
            _ => result.Append(CultureInfo.InvariantCulture, $"\\U{rune.Value:x8}"),
        };
}
