using System.Text.Json;

namespace LowRank.Generation;

/// <summary>Tells which of the values that a schema lists fit what else it says.</summary>
internal sealed class SchemaValues(SchemaReader reader)
{
    private readonly Dictionary<SchemaShape, CharacterAutomaton> strings = new(ReferenceEqualityComparer.Instance);

    /// <summary>Those of a shape's values for which its other conditions hold.</summary>
    public IEnumerable<JsonElement> Fitting(SchemaShape shape) =>
        shape.Values!.Where(value => FitsConditions(value, shape));

    private bool Fits(JsonElement value, SchemaShape shape) =>
        FitsConditions(value, shape) && (shape.Values is null || shape.Values.Any(each => AreEqual(each, value)));

    private bool FitsConditions(JsonElement value, SchemaShape shape) =>
        shape.Types.HasFlag(TypeOf(value)) && value.ValueKind switch
        {
            JsonValueKind.Number => FitsNumber(value, shape),
            JsonValueKind.String => FitsString(value.GetString()!, shape),
            JsonValueKind.Array => shape.Items.Contains(value.GetArrayLength())
                && value.EnumerateArray().Index().All(item => Fits(item.Item, shape.Item(item.Index))),
            JsonValueKind.Object => FitsObject(value, shape),
            _ => true,
        };

    /// <summary>The type of a value.</summary>
    public static JsonTypes TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => JsonTypes.Null,
        JsonValueKind.True or JsonValueKind.False => JsonTypes.Boolean,
        JsonValueKind.Number => JsonTypes.Number,
        JsonValueKind.String => JsonTypes.String,
        JsonValueKind.Array => JsonTypes.Array,
        _ => JsonTypes.Object,
    };

    /// <summary>Whether two values are the same, numbers by their value.</summary>
    public static bool AreEqual(JsonElement one, JsonElement other)
    {
        if (one.ValueKind != other.ValueKind) return false;
        switch (one.ValueKind)
        {
            case JsonValueKind.Number:
                string left = one.GetRawText(), right = other.GetRawText();
                return left == right
                    || (DecimalNumber.TryParse(left) is { } number && number == DecimalNumber.TryParse(right));
            case JsonValueKind.String:
                return one.GetString() == other.GetString();
            case JsonValueKind.Array:
                return one.GetArrayLength() == other.GetArrayLength()
                    && one.EnumerateArray().Zip(other.EnumerateArray()).All(pair => AreEqual(pair.First, pair.Second));
            case JsonValueKind.Object:
                return one.EnumerateObject().Count() == other.EnumerateObject().Count()
                    && one.EnumerateObject().All(each => other.TryGetProperty(each.Name, out JsonElement value)
                    && AreEqual(each.Value, value));
            default:
                return true;
        }
    }

    private bool Fits(JsonElement value, Conjunction schemas) =>
        reader.Read(schemas).Any(shape => Fits(value, shape));

    private bool FitsString(string text, SchemaShape shape)
    {
        if (!strings.TryGetValue(shape, out CharacterAutomaton? content))
            strings[shape] = content = reader.StringContent(shape with { Values = null });
        return content.Matches(text);
    }

    private bool FitsNumber(JsonElement value, SchemaShape shape)
    {
        if (shape is { AreWhole: false, Limits.Count: 0, Divisors.Count: 0 }) return true;
        if (DecimalNumber.TryParse(value.GetRawText()) is not { } number) return false;
        return !(shape.AreWhole && number.Fraction.Length > 0)
            && (shape is { Limits.Count: 0, Divisors.Count: 0 }
            || reader.NumberContent(shape).Matches(number.ToString()));
    }

    private bool FitsObject(JsonElement value, SchemaShape shape)
    {
        JsonProperty[] all = [.. value.EnumerateObject()];
        return shape.Properties.Contains(all.Length)
            && shape.Required.All(name => all.Any(property => property.Name == name))
            && all.All(property => shape.Names.All(names => names.Matches(property.Name))
            && Fits(property.Value, shape.Property(property.Name)));
    }
}
