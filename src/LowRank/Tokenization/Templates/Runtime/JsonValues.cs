using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Makes a template's values from JSON, as Python's <c>json.loads</c> does.</summary>
internal static class JsonValues
{
    /// <summary>The variables of a rendering.</summary>
    public static IEnumerable<KeyValuePair<string, object>> Read(Renderer renderer, JsonObject variables)
    {
        foreach (var (name, value) in variables)
        {
            yield return KeyValuePair.Create(name, Value(renderer, value));
        }
    }

    private static object Value(Renderer renderer, JsonNode? node)
    {
        renderer.Budget.Spend(1);
        renderer.Budget.Enter();
        object value = node switch
        {
            null => None.Value,
            JsonArray array => new ListValue([.. array.Select(item => Value(renderer, item))]),
            JsonObject members => Dictionary(renderer, members),
            _ => Leaf(node.AsValue()),
        };
        renderer.Budget.Leave();
        return value;
    }

    private static DictionaryValue Dictionary(Renderer renderer, JsonObject members)
    {
        var dictionary = new DictionaryValue(renderer.Keys);
        foreach (var (name, value) in members)
        {
            dictionary.Items[name] = Value(renderer, value);
        }

        return dictionary;
    }

    private static object Leaf(JsonValue value)
    {
        switch (value.GetValueKind())
        {
            case JsonValueKind.True:
                return true;
            case JsonValueKind.False:
                return false;
            case JsonValueKind.Null:
                return None.Value;
            case JsonValueKind.Number:
                return Number(value);
            default:
                return value.TryGetValue<string>(out var text) ? text : value.ToString();
        }
    }

    // 1 is an integer and 1.0 a float: the text tells, where there is one; a number of .NET has its type.
    private static object Number(JsonValue value)
    {
        if (!value.TryGetValue<JsonElement>(out var element))
        {
            if (value.TryGetValue<double>(out var number) || value.TryGetValue<float>(out var single)
                && double.IsFinite(number = single))
            {
                return number;
            }

            return value.TryGetValue<decimal>(out var money)
                ? (double)money
                : BigInteger.Parse(value.ToJsonString(), CultureInfo.InvariantCulture);
        }

        var text = element.GetRawText();
        return text.AsSpan().ContainsAny(".eE")
            ? double.Parse(text, CultureInfo.InvariantCulture)
            : Numbers.Checked(BigInteger.Parse(text, CultureInfo.InvariantCulture));
    }
}
