using System.Text.Json;

namespace LowRank.Generation;

/// <summary>Shows that no value fits two alternatives of oneOf, which then means the same as anyOf.</summary>
internal sealed class SchemaDisjointness(SchemaReader reader, WorkBudget budget)
{
    private const int MostNested = 6;
    private const int MostPairs = 20_000;

    private int pairs;

    /// <summary>Reports the alternatives that may overlap.</summary>
    public void Check(SchemaDocument document)
    {
        foreach ((SchemaPlace place, IReadOnlyList<SchemaPlace> choices) in reader.Exclusive.ToArray())
        {
            try
            {
                Check(document, place, choices);
            }
            catch (InputException e)
            {
                document.Report(place, null, e.Message);
            }
        }
    }

    private void Check(SchemaDocument document, SchemaPlace place, IReadOnlyList<SchemaPlace> choices)
    {
        for (int i = 0; i < choices.Count; i++)
            for (int j = 0; j < i; j++)
                if (!AreDisjoint(new Conjunction(choices[j]), new Conjunction(choices[i]), 0))
                    document.Report(place, null, $"alternatives {j} and {i} may both fit a value, and that exactly " +
                        "one fits cannot be enforced; use anyOf, or tell them apart by a required property with a " +
                        "const");
    }

    private bool AreDisjoint(Conjunction left, Conjunction right, int depth) =>
        reader.Read(left).All(one => reader.Read(right).All(other => AreDisjoint(one, other, depth)));

    private bool AreDisjoint(SchemaShape left, SchemaShape right, int depth)
    {
        if (depth > MostNested || ++pairs > MostPairs) return false;
        budget.Spend(1L + (left.Values?.Count ?? 0) * (long)(right.Values?.Count ?? 0));
        if (left.Values is not null && right.Values is not null)
            return !left.Values.Any(value => right.Values.Any(each => SchemaValues.AreEqual(value, each)));
        if (left.Values is null && right.Values is not null) return AreDisjoint(right, left, depth);
        JsonTypes types = left.Types & right.Types;
        if (left.Values is not null)
            types &= left.Values.Aggregate(JsonTypes.None, (all, value) => all | SchemaValues.TypeOf(value));
        return Enum.GetValues<JsonTypes>().Where(type => type is not (JsonTypes.None or JsonTypes.All))
            .Where(type => types.HasFlag(type)).All(type => AreDisjoint(left, right, type, depth));
    }

    private bool AreDisjoint(SchemaShape left, SchemaShape right, JsonTypes type, int depth) => type switch
    {
        JsonTypes.Number when left.Values is null =>
            reader.NumberContent(left).And(reader.NumberContent(right)).IsEmpty,
        JsonTypes.String =>
            reader.StringContent(left).And(reader.StringContent(right)).IsEmpty,
        JsonTypes.Array when left.Values is null => left.Items.And(right.Items).IsEmpty
            || Enumerable.Range(0, Math.Min(Math.Max(left.Items.Least, right.Items.Least), 100))
                .Any(i => AreDisjoint(left.Item(i), right.Item(i), depth + 1)),
        JsonTypes.Object when left.Values is null => left.Properties.And(right.Properties).IsEmpty
            || left.Required.Union(right.Required)
                .Any(name => AreDisjoint(left.Property(name), right.Property(name), depth + 1)),
        _ => false,
    };
}
