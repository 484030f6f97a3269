using System.Text.Json;

namespace LowRank.Generation;

/// <summary>Reads schemas into shapes.</summary>
internal sealed class SchemaReader(SchemaDocument document)
{
    private const int MostShapes = 500;
    private const int MostActive = 200;

    private static readonly Dictionary<string, JsonTypes> TypeNames = new(StringComparer.Ordinal)
    {
        ["null"] = JsonTypes.Null, ["boolean"] = JsonTypes.Boolean, ["number"] = JsonTypes.Number,
        ["integer"] = JsonTypes.Number, ["string"] = JsonTypes.String, ["array"] = JsonTypes.Array,
        ["object"] = JsonTypes.Object,
    };

    private readonly HashSet<string> active = new(StringComparer.Ordinal); // schemas that are being read
    private readonly Dictionary<string, IReadOnlyList<SchemaShape>> known = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CharacterAutomaton> patterns = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CharacterAutomaton> numbers = new(StringComparer.Ordinal);
    private readonly SchemaConditions conditions = new(document);

    /// <summary>Alternatives whose disjointness is to be shown: those of oneOf.</summary>
    public List<(SchemaPlace Place, IReadOnlyList<SchemaPlace> Choices)> Exclusive { get; } = [];

    /// <summary>The shapes of values for which all of some schemas hold.</summary>
    public IReadOnlyList<SchemaShape> Read(Conjunction schemas)
    {
        IReadOnlyList<SchemaShape> shapes = [SchemaShape.Any];
        foreach (SchemaPlace place in schemas.Places) shapes = And(place, shapes, Read(place));
        return shapes;
    }

    private IReadOnlyList<SchemaShape> Read(SchemaPlace place)
    {
        if (place.Schema.ValueKind == JsonValueKind.True) return [SchemaShape.Any];
        if (place.Schema.ValueKind == JsonValueKind.False) return [];
        if (place.Schema.ValueKind != JsonValueKind.Object)
        {
            document.Report(place, null, "expected a schema: an object, true or false");
            return [];
        }
        if (known.TryGetValue(place.Path, out IReadOnlyList<SchemaShape>? read)) return read;
        if (!active.Add(place.Path))
        {
            document.Report(place, null, "refers to itself without a property or an item in between");
            return [];
        }
        if (active.Count > MostActive)
        {
            document.Report(place, null, $"is within more than {MostActive} schemas that refer to each other");
            active.Remove(place.Path);
            return [];
        }
        SchemaKeywords.Check(document, place);
        IReadOnlyList<SchemaShape> shapes = [SchemaShape.Any];
        SchemaShape own = Own(place);
        // In the schema's order, so that properties are in it.
        bool isAdded = false;
        foreach (JsonProperty keyword in place.Schema.EnumerateObject())
        {
            if (keyword.Name == "properties" && !isAdded)
                (shapes, isAdded) = (And(place, shapes, [own]), true);
            shapes = Applied(place, keyword, shapes);
        }
        if (!isAdded) shapes = And(place, shapes, [own]);
        active.Remove(place.Path);
        return known[place.Path] = shapes;
    }

    private IReadOnlyList<SchemaShape> Applied(
        SchemaPlace place, JsonProperty keyword, IReadOnlyList<SchemaShape> shapes)
    {
        if (keyword.Name == "$ref")
        {
            if (keyword.Value.ValueKind != JsonValueKind.String)
                document.Report(place, "$ref", "expected a text");
            else if (document.Find(place, keyword.Value.GetString()!) is { } target)
                return And(place, shapes, Read(target));
            return shapes;
        }
        if (keyword.Name is not ("allOf" or "anyOf" or "oneOf")) return shapes;
        if (keyword.Value.ValueKind != JsonValueKind.Array || keyword.Value.GetArrayLength() == 0)
        {
            document.Report(place, keyword.Name, "expected a list of schemas that is not empty");
            return shapes;
        }
        SchemaPlace[] inner = [.. SchemaKeywords.Inside(place, keyword)];
        if (keyword.Name == "allOf")
            return inner.Aggregate(shapes, (all, each) => And(place, all, Read(each)));
        if (keyword.Name == "oneOf") Exclusive.Add((place.In(keyword.Value, "oneOf"), inner));
        return And(place, shapes, [.. inner.SelectMany(Read)]);
    }

    private IReadOnlyList<SchemaShape> And(
        SchemaPlace place, IReadOnlyList<SchemaShape> left, IReadOnlyList<SchemaShape> right)
    {
        if ((long)left.Count * right.Count > MostShapes)
        {
            document.Report(place, null, $"has more than {MostShapes} alternatives, those of anyOf and oneOf " +
                "combined; make fewer");
            return [];
        }
        document.Budget.Spend(left.Sum(one => 10L + one.Size) * Math.Max(1, right.Count)
            + right.Sum(one => 10L + one.Size) * Math.Max(1, left.Count));
        return [.. left.SelectMany(one => right.Select(other => one.And(other)))
            .Where(shape => shape.Types != JsonTypes.None)];
    }

    // What the schema says by itself.
    private SchemaShape Own(SchemaPlace place)
    {
        SchemaShape shape = conditions.Read(place);
        List<(string, SchemaPlace)> properties = [];
        List<(string, CharacterAutomaton, SchemaPlace)> named = [];
        List<SchemaPlace> prefix = [];
        SchemaPlace? rest = null, items = null;
        foreach (JsonProperty keyword in place.Schema.EnumerateObject())
        {
            switch (keyword.Name)
            {
                case "type":
                    shape = shape.And(Types(place, keyword.Value));
                    break;
                case "properties" or "patternProperties" when keyword.Value.ValueKind != JsonValueKind.Object:
                    document.Report(place, keyword.Name, "expected an object of schemas");
                    break;
                case "properties":
                    properties.AddRange(keyword.Value.EnumerateObject()
                        .Select(each => (each.Name, place.In(each.Value, keyword.Name, each.Name))));
                    break;
                case "patternProperties":
                    foreach (JsonProperty each in keyword.Value.EnumerateObject())
                        if (Pattern(place.In(keyword.Value, keyword.Name), each.Name, each.Name) is { } names)
                            named.Add((each.Name, names, place.In(each.Value, keyword.Name, each.Name)));
                    break;
                case "additionalProperties":
                    rest = place.In(keyword.Value, keyword.Name);
                    break;
                case "propertyNames":
                    shape = shape with { Names = [Names(place.In(keyword.Value, keyword.Name))] };
                    break;
                case "prefixItems" when keyword.Value.ValueKind != JsonValueKind.Array:
                    document.Report(place, keyword.Name, "expected a list of schemas");
                    break;
                case "prefixItems":
                    prefix.AddRange(SchemaKeywords.Inside(place, keyword));
                    break;
                case "items":
                    items = place.In(keyword.Value, keyword.Name);
                    break;
                case "pattern" when keyword.Value.ValueKind == JsonValueKind.String:
                    if (Pattern(place, keyword.Name, keyword.Value.GetString()!) is { } pattern)
                        shape = shape with { Patterns = [.. shape.Patterns, pattern] };
                    break;
                default:
                    break;
            }
        }
        if (properties.Count > 0 || named.Count > 0 || rest is not null)
            shape = shape with { PropertyClauses = [new PropertyClause(properties, named, rest)] };
        return prefix.Count == 0 && items is null ? shape
            : shape with { ItemClauses = [new ItemClause(prefix, items)] };
    }

    private SchemaShape Types(SchemaPlace place, JsonElement value)
    {
        JsonElement[] names = value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : [value];
        JsonTypes types = JsonTypes.None;
        bool hasNumber = false, hasInteger = false;
        foreach (JsonElement name in names)
        {
            if (name.ValueKind != JsonValueKind.String || !TypeNames.TryGetValue(name.GetString()!, out JsonTypes type))
            {
                document.Report(place, "type", $"expected {string.Join(", ", TypeNames.Keys)}, or a list of these");
                continue;
            }
            types |= type;
            hasNumber |= name.GetString() == "number";
            hasInteger |= name.GetString() == "integer";
        }
        return new SchemaShape { Types = types, AreWhole = hasInteger && !hasNumber };
    }

    private CharacterAutomaton? Pattern(SchemaPlace place, string keyword, string pattern)
    {
        if (patterns.TryGetValue(pattern, out CharacterAutomaton? automaton)) return automaton;
        try
        {
            return patterns[pattern] = RegexAutomaton.Compile(pattern, isSearch: true, document.Budget);
        }
        catch (InputException e)
        {
            document.Report(place, keyword, e.Message);
            return null;
        }
    }

    // Names are strings, so that of a schema only what it says about strings counts.
    private CharacterAutomaton Names(SchemaPlace place)
    {
        CharacterAutomaton all = CharacterAutomaton.Nothing;
        foreach (SchemaShape shape in Read(place).Where(shape => shape.Types.HasFlag(JsonTypes.String)))
        {
            try
            {
                all = all.Or(StringContent(shape));
            }
            catch (InputException e)
            {
                document.Report(place, null, e.Message);
            }
        }
        return all;
    }

    /// <summary>The strings of a shape.</summary>
    /// <exception cref="InputException">There are too many states.</exception>
    public CharacterAutomaton StringContent(SchemaShape shape)
    {
        WorkBudget budget = document.Budget;
        CharacterAutomaton content = shape.Patterns.Aggregate(
            CharacterAutomaton.Any, (all, pattern) => all.And(pattern));
        if (!shape.Length.IsAny)
            content = shape.Length.IsEmpty ? CharacterAutomaton.Nothing
                : content.And(CharacterAutomaton.OfLength(shape.Length.Least, shape.Length.Most, budget));
        return shape.Values is null ? content : CharacterAutomaton.Of([.. shape.Values
            .Where(value => value.ValueKind == JsonValueKind.String).Select(value => value.GetString()!)
            .Where(content.Matches)], budget);
    }

    /// <summary>The numbers of a shape.</summary>
    public CharacterAutomaton NumberContent(SchemaShape shape)
    {
        string key = $"{shape.AreWhole} {string.Join(' ', shape.Limits)} {string.Join(' ', shape.Divisors)}";
        return numbers.TryGetValue(key, out CharacterAutomaton? known) ? known
            : numbers[key] = NumberPattern.Of(shape.Limits, shape.Divisors, shape.AreWhole, document.Budget);
    }
}
