namespace LowRank.Metrics;

/// <summary>Metrics of entities in tagged texts, as in seqeval's default mode (and conlleval): an entity is correct if
/// its type and both ends are.</summary>
/// <param name="Precision">Share of the found entities that are correct, 0 to 1.</param>
/// <param name="Recall">Share of the true entities that were found, 0 to 1.</param>
/// <param name="F1">The harmonic mean of precision and recall.</param>
/// <param name="Types">The metrics of each type.</param>
internal sealed record EntityMetrics(
    double Precision, double Recall, double F1, IReadOnlyDictionary<string, ClassScore> Types)
{
    /// <summary>Measures tags such as B-PER, I-PER, O (also E- and S-); a change of type starts a new entity, whatever
    /// its prefix.</summary>
    /// <param name="truth">The true tags of each text.</param>
    /// <param name="predicted">The predicted tags, equally many.</param>
    /// <exception cref="ArgumentException">There are no items, or the numbers differ.</exception>
    public static EntityMetrics Compute(IReadOnlyList<string[]> truth, IReadOnlyList<string[]> predicted)
    {
        Pairs.Check(truth.Count, predicted.Count);
        var right = new HashSet<(int Text, string Type, int Start, int End)>();
        var found = new HashSet<(int Text, string Type, int Start, int End)>();
        for (int i = 0; i < truth.Count; i++)
        {
            if (truth[i].Length != predicted[i].Length)
                throw new ArgumentException(
                    $"Text {i + 1} has {truth[i].Length} true and {predicted[i].Length} predicted tags, expected " +
                    "as many of each.", nameof(predicted));
            right.UnionWith(Entities(truth[i]).Select(entity => (i, entity.Type, entity.Start, entity.End)));
            found.UnionWith(Entities(predicted[i]).Select(entity => (i, entity.Type, entity.Start, entity.End)));
        }
        ClassScore Score(Func<string, bool> counts) =>
            ClassScore.From(found.Count(entity => counts(entity.Type) && right.Contains(entity)),
            found.Count(entity => counts(entity.Type)), right.Count(entity => counts(entity.Type)));
        ClassScore all = Score(_ => true);
        IEnumerable<string> types = right.Concat(found).Select(entity => entity.Type).Distinct()
            .Order(StringComparer.Ordinal);
        return new EntityMetrics(
            all.Precision, all.Recall, all.F1, types.ToDictionary(type => type, type => Score(type.Equals)));
    }

    /// <summary>The entities of a text's tags: type, first and last word.</summary>
    public static IReadOnlyList<(string Type, int Start, int End)> Entities(IReadOnlyList<string> tags)
    {
        var entities = new List<(string, int, int)>();
        char before = 'O';
        string typeBefore = "";
        int begin = 0;
        for (int i = 0; i <= tags.Count; i++)
        {
            string tag = i == tags.Count ? "O" : tags[i];
            char prefix = tag.Length == 0 ? 'O' : tag[0];
            // The type is the text after the first dash, as in seqeval; without a dash it is "_".
            int dash = tag.IndexOf('-', Math.Min(1, tag.Length));
            string type = tag.Length < 2 ? "_" : dash < 0 ? tag[1..] : tag[(dash + 1)..];
            if (type.Length == 0) type = "_";
            if (Ends(before, prefix, typeBefore, type)) entities.Add((typeBefore, begin, i - 1));
            if (Begins(before, prefix, typeBefore, type)) begin = i;
            (before, typeBefore) = (prefix, type);
        }
        return entities;
    }

    private static bool Ends(char before, char prefix, string typeBefore, string type) => before switch
    {
        'E' or 'S' => true,
        'B' or 'I' when prefix is 'B' or 'S' or 'O' => true,
        'O' or '.' => false,
        _ => typeBefore != type,
    };

    private static bool Begins(char before, char prefix, string typeBefore, string type) => prefix switch
    {
        'B' or 'S' => true,
        'E' or 'I' when before is 'E' or 'S' or 'O' => true,
        'O' or '.' => false,
        _ => typeBefore != type,
    };
}
