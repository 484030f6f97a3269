using System.Runtime.InteropServices;
using System.Text.Json;

namespace LowRank.Generation;

/// <summary>The types of JSON values.</summary>
[Flags]
internal enum JsonTypes
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>null.</summary>
    Null = 1,

    /// <summary>true and false.</summary>
    Boolean = 2,

    /// <summary>Numbers.</summary>
    Number = 4,

    /// <summary>Strings.</summary>
    String = 8,

    /// <summary>Arrays.</summary>
    Array = 16,

    /// <summary>Objects.</summary>
    Object = 32,

    /// <summary>All.</summary>
    All = 63,
}

/// <summary>Schemas that all hold for a value.</summary>
/// <param name="places">The schemas, each once.</param>
internal sealed class Conjunction(params IReadOnlyList<SchemaPlace> places)
{
    public IReadOnlyList<SchemaPlace> Places { get; } = [.. places.Distinct()];

    /// <summary>Equal for the same schemas.</summary>
    public string Key => string.Join('\n', Places.Select(place => place.Path).Order(StringComparer.Ordinal));

    /// <summary>Whether one of them allows nothing.</summary>
    public bool IsNothing => Places.Any(place => place.Schema.ValueKind == JsonValueKind.False);

    public static Conjunction Of(IEnumerable<SchemaPlace?> places) => new([.. places.OfType<SchemaPlace>()]);
}

/// <summary>What one schema says about the items of arrays.</summary>
/// <param name="Prefix">The schemas of the first items.</param>
/// <param name="Rest">The schema of the others; null for any.</param>
internal sealed record ItemClause(IReadOnlyList<SchemaPlace> Prefix, SchemaPlace? Rest)
{
    public SchemaPlace? At(int index) => index < Prefix.Count ? Prefix[index] : Rest;
}

/// <summary>What one schema says about the properties of objects.</summary>
/// <param name="Properties">The schemas of properties by name, in order.</param>
/// <param name="Patterns">The schemas of properties whose names match a pattern.</param>
/// <param name="Rest">The schema of the others; null for any.</param>
internal sealed record PropertyClause(
    IReadOnlyList<(string Name, SchemaPlace Schema)> Properties,
    IReadOnlyList<(string Pattern, CharacterAutomaton Names, SchemaPlace Schema)> Patterns, SchemaPlace? Rest)
{
    /// <summary>What holds for a property.</summary>
    public IEnumerable<SchemaPlace> For(string name)
    {
        SchemaPlace[] own = [.. Properties.Where(property => property.Name == name).Select(property => property.Schema),
            .. Patterns.Where(pattern => pattern.Names.Matches(name)).Select(pattern => pattern.Schema)];
        return own.Length > 0 || Rest is null ? own : [Rest];
    }

    /// <summary>What holds for properties that no name declares and that match just these patterns.</summary>
    public IEnumerable<SchemaPlace> For(IReadOnlySet<string> matched)
    {
        SchemaPlace[] own = [.. Patterns.Where(pattern => matched.Contains(pattern.Pattern))
            .Select(pattern => pattern.Schema)];
        return own.Length > 0 || Rest is null ? own : [Rest];
    }
}

/// <summary>Values that a schema allows: those of some types for which all conditions of their type hold.</summary>
internal sealed record SchemaShape
{
    /// <summary>Every value.</summary>
    public static SchemaShape Any { get; } = new();

    public JsonTypes Types { get; init; } = JsonTypes.All;

    /// <summary>The only values; null for any.</summary>
    public IReadOnlyList<JsonElement>? Values { get; init; }

    public bool AreWhole { get; init; }

    public IReadOnlyList<NumberLimit> Limits { get; init; } = [];

    public IReadOnlyList<DecimalNumber> Divisors { get; init; } = [];

    /// <summary>The numbers of characters of strings.</summary>
    public CountRange Length { get; init; } = CountRange.Any;

    public IReadOnlyList<CharacterAutomaton> Patterns { get; init; } = [];

    /// <summary>The numbers of items of arrays.</summary>
    public CountRange Items { get; init; } = CountRange.Any;

    public IReadOnlyList<ItemClause> ItemClauses { get; init; } = [];

    /// <summary>The numbers of properties of objects.</summary>
    public CountRange Properties { get; init; } = CountRange.Any;

    public IReadOnlyList<PropertyClause> PropertyClauses { get; init; } = [];

    public IReadOnlyList<string> Required { get; init; } = [];

    /// <summary>What names of properties match.</summary>
    public IReadOnlyList<CharacterAutomaton> Names { get; init; } = [];

    /// <summary>How many things it lists.</summary>
    public int Size => (Values?.Count ?? 0) + Limits.Count + Divisors.Count + Patterns.Count + ItemClauses.Count
        + PropertyClauses.Count + Required.Count + Names.Count;

    /// <summary>The values of both.</summary>
    public SchemaShape And(SchemaShape other) => new()
    {
        Types = Types & other.Types,
        Values = Values is null ? other.Values : other.Values is null ? Values
            : [.. Values.Where(value => other.Values.Any(each => SchemaValues.AreEqual(value, each)))],
        AreWhole = AreWhole || other.AreWhole,
        Limits = [.. Limits, .. other.Limits],
        Divisors = [.. Divisors, .. other.Divisors],
        Length = Length.And(other.Length),
        Patterns = [.. Patterns, .. other.Patterns],
        Items = Items.And(other.Items),
        ItemClauses = [.. ItemClauses, .. other.ItemClauses],
        Properties = Properties.And(other.Properties),
        PropertyClauses = [.. PropertyClauses, .. other.PropertyClauses],
        Required = [.. Required.Union(other.Required)],
        Names = [.. Names, .. other.Names],
    };

    /// <summary>The schemas of an item.</summary>
    public Conjunction Item(int index) => Conjunction.Of(ItemClauses.Select(clause => clause.At(index)));

    /// <summary>The schemas of a property.</summary>
    public Conjunction Property(string name) => Conjunction.Of(PropertyClauses.SelectMany(clause => clause.For(name)));
}

/// <summary>A range of numbers.</summary>
/// <param name="Least">The least.</param>
/// <param name="Most">The most; null for any.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct CountRange(int Least, int? Most)
{
    public static CountRange Any => new(0, null);

    public bool IsAny => Least == 0 && Most is null;

    public bool IsEmpty => Most < Least;

    public bool Contains(int count) => count >= Least && !(count > Most);

    public CountRange And(CountRange other) => new(Math.Max(Least, other.Least),
        Most is null ? other.Most : other.Most is null ? Most : Math.Min(Most.Value, other.Most.Value));
}
