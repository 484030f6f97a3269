using System.Text.Json;

namespace LowRank.Generation;

/// <summary>Reads the keywords of a schema whose values are plain: numbers, texts and lists of them.</summary>
internal sealed class SchemaConditions(SchemaDocument document)
{
    private const int MostCount = 1_000_000;

    /// <summary>What these keywords say.</summary>
    public SchemaShape Read(SchemaPlace place)
    {
        SchemaShape shape = SchemaShape.Any;
        foreach (JsonProperty keyword in place.Schema.EnumerateObject())
            shape = Add(shape, place, keyword.Name, keyword.Value);
        return shape;
    }

    private SchemaShape Add(SchemaShape shape, SchemaPlace place, string name, JsonElement value)
    {
        switch (name)
        {
            case "const":
                return shape.And(new SchemaShape { Values = [value] });
            case "enum" when value.ValueKind == JsonValueKind.Array:
                return shape.And(new SchemaShape { Values = [.. value.EnumerateArray()] });
            case "minimum" or "exclusiveMinimum" or "maximum" or "exclusiveMaximum":
                return Number(place, name, value) is not { } limit ? shape : shape with
                {
                    Limits = [.. shape.Limits, new NumberLimit(limit, name.EndsWith("inimum", StringComparison.Ordinal),
                        name.StartsWith('e'))],
                };
            case "multipleOf":
                return Divisor(place, value) is { } divisor ? shape with { Divisors = [divisor] } : shape;
            case "minLength" or "maxLength":
                return shape with { Length = shape.Length.And(Count(place, name, value)) };
            case "minItems" or "maxItems":
                return shape with { Items = shape.Items.And(Count(place, name, value)) };
            case "minProperties" or "maxProperties":
                return shape with { Properties = shape.Properties.And(Count(place, name, value)) };
            case "required" when value.ValueKind == JsonValueKind.Array
                && value.EnumerateArray().All(each => each.ValueKind == JsonValueKind.String):
                return shape with
                {
                    Required = [.. value.EnumerateArray().Select(each => each.GetString()!).Distinct()],
                };
            case "format" when value.ValueKind == JsonValueKind.String:
                return Format(shape, place, value.GetString()!);
            case "pattern" when value.ValueKind == JsonValueKind.String:
                return shape;
            case "enum":
                return Wrong("a list of values");
            case "required":
                return Wrong("a list of names");
            case "format" or "pattern":
                return Wrong("a text");
            default:
                return shape;
        }

        SchemaShape Wrong(string expected)
        {
            document.Report(place, name, $"expected {expected}");
            return shape;
        }
    }

    private SchemaShape Format(SchemaShape shape, SchemaPlace place, string name)
    {
        if (SchemaFormats.Find(name, document.Budget) is { } pattern)
            return shape with { Patterns = [.. shape.Patterns, pattern] };
        document.Report(place, "format", $"\"{name}\" is not supported; expected " +
            $"{string.Join(", ", SchemaFormats.Names)}. Or use pattern");
        return shape;
    }

    private DecimalNumber? Number(SchemaPlace place, string name, JsonElement value)
    {
        DecimalNumber? number = value.ValueKind == JsonValueKind.Number
            ? DecimalNumber.TryParse(value.GetRawText()) : null;
        if (number is null) document.Report(place, name, "expected a number of at most 400 digits");
        return number;
    }

    private DecimalNumber? Divisor(SchemaPlace place, JsonElement value)
    {
        if (Number(place, "multipleOf", value) is not { } number) return null;
        if (!number.IsNegative && !number.IsZero && number.Digits <= NumberPattern.MostDivisor
            && number.Fraction.Length <= 20)
            return number;
        document.Report(place, "multipleOf",
            $"expected a number above zero whose digits are at most {NumberPattern.MostDivisor}");
        return null;
    }

    private CountRange Count(SchemaPlace place, string name, JsonElement value)
    {
        DecimalNumber? number = Number(place, name, value);
        if (number is null) return CountRange.Any;
        if (number.IsNegative || number.Fraction.Length > 0)
        {
            document.Report(place, name, "expected a whole number from 0 on");
            return CountRange.Any;
        }
        int count = (int)System.Numerics.BigInteger.Min(number.Digits, MostCount + 1);
        if (name.StartsWith("max", StringComparison.Ordinal))
            return new CountRange(0, count > MostCount ? null : count); // nobody writes that much
        if (count > MostCount) document.Report(place, name, $"expected at most {MostCount}");
        return new CountRange(count, null);
    }
}
