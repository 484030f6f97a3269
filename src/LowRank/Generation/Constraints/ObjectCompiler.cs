namespace LowRank.Generation;

/// <summary>Compiles what schemas say about objects: the declared properties in their order, then others.</summary>
/// <param name="document">The document, for problems.</param>
/// <param name="ruleOf">The rule of the values for which schemas hold.</param>
internal sealed class ObjectCompiler(SchemaDocument document, Func<Conjunction, RulePart> ruleOf)
{
    private const int MostGroups = 64;
    private const int MostNodes = 20_000;

    /// <summary>The objects of a shape.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="schemas">The schemas that it comes from, for problems.</param>
    public TextConstraint Compile(SchemaShape shape, Conjunction schemas)
    {
        if (shape.Properties.IsEmpty) return JsonGrammar.Nothing;
        if (shape is { PropertyClauses.Count: 0, Required.Count: 0, Names.Count: 0 } && shape.Properties.IsAny)
            return JsonGrammar.AnyObject();
        string[] names = [.. shape.PropertyClauses.SelectMany(clause => clause.Properties.Select(each => each.Name))
            .Concat(shape.Required).Distinct()];
        TextConstraint? others = Others(shape, names, schemas);
        (int least, int? most) = (shape.Properties.Least, shape.Properties.Most);
        if (others is not null && least > names.Length + 1)
        {
            document.Report(schemas.Places[0], "minProperties", $"is {least}, and {names.Length} properties are " +
                "declared; of others, whose names are not compared with each other, at most 1 can be asked for");
            return JsonGrammar.Nothing;
        }
        // Counted as far as anything depends on the number: whether it is the first one, or the limits.
        int counted = Math.Max(1, Math.Max(least, Math.Min(most ?? 0, names.Length)));
        if ((long)(names.Length + 1) * (counted + 1) > MostNodes)
        {
            document.Report(schemas.Places[0], null,
                $"has too many properties to be counted: {names.Length} and {counted}");
            return JsonGrammar.Nothing;
        }
        return new RulePart(nests: true)
        {
            Content = JsonGrammar.Enclosed('{', Ways(shape, names, others, counted), '}'),
        };
    }

    // A node per property that may come next and number of those written.
    private GraphPart Ways(SchemaShape shape, string[] names, TextConstraint? others, int counted)
    {
        (int least, int? most) = (shape.Properties.Least, shape.Properties.Most);
        HashSet<string> required = [.. shape.Required];
        List<(int, TextConstraint?, int)> edges = [];
        int end = (names.Length + 1) * (counted + 1);
        int Node(int next, int count) => next * (counted + 1) + Math.Min(count, counted);
        for (int i = 0; i < names.Length; i++)
        {
            bool isNamed = shape.Names.All(pattern => pattern.Matches(names[i]));
            TextConstraint? pair = isNamed
                ? GraphPart.Chain(JsonGrammar.Name(names[i]), ruleOf(shape.Property(names[i]))) : null;
            for (int count = 0; count <= Math.Min(counted, i); count++)
            {
                if (!required.Contains(names[i])) edges.Add((Node(i, count), null, Node(i + 1, count)));
                if (pair is null || count >= most) continue;
                edges.Add((Node(i, count), count == 0 ? pair : GraphPart.Chain(JsonGrammar.Comma, pair),
                    Node(i + 1, count + 1)));
            }
        }
        for (int count = 0; count <= Math.Min(counted, names.Length); count++)
        {
            int missing = Math.Max(0, least - count);
            int? room = most - count;
            if (missing == 0) edges.Add((Node(names.Length, count), null, end));
            if (others is null || missing > 1 || room <= 0) continue;
            edges.Add((Node(names.Length, count), count == 0
                ? RepeatPart.Of(others, missing, room, JsonGrammar.Comma)
                : RepeatPart.Of(GraphPart.Chain(JsonGrammar.Comma, others), missing, room, null), end));
        }
        if (edges.Count == 0) edges.Add((0, JsonGrammar.Nothing, end));
        return new GraphPart(end + 1, 0, end, edges);
    }

    // A property that is not declared; null if there are none.
    private TextConstraint? Others(SchemaShape shape, string[] names, Conjunction schemas)
    {
        CharacterAutomaton all = shape.Names.Aggregate(CharacterAutomaton.Any, (all, each) => all.And(each))
            .Without(CharacterAutomaton.Of(names, document.Budget));
        // Names in groups by the patterns that they match.
        List<(CharacterAutomaton Names, HashSet<string> Matched)> groups = [(all, [])];
        foreach ((string pattern, CharacterAutomaton matching, _) in shape.PropertyClauses
            .SelectMany(clause => clause.Patterns).DistinctBy(each => each.Pattern))
        {
            groups = [.. groups.SelectMany(group => new[]
            {
                (Names: group.Names.And(matching), Matched: (HashSet<string>)[.. group.Matched, pattern]),
                (Names: group.Names.Without(matching), group.Matched),
            }).Where(group => !group.Names.IsEmpty)];
            if (groups.Count <= MostGroups) continue;
            document.Report(schemas.Places[0], "patternProperties",
                $"has patterns that overlap in more than {MostGroups} ways; make them disjoint");
            return null;
        }
        List<TextConstraint> pairs = [];
        foreach ((CharacterAutomaton matching, HashSet<string> matched) in groups)
        {
            var schema = Conjunction.Of(shape.PropertyClauses.SelectMany(clause => clause.For(matched)));
            if (matching.IsEmpty || schema.IsNothing) continue;
            pairs.Add(GraphPart.Chain(JsonGrammar.String(matching), JsonGrammar.Colon, ruleOf(schema)));
        }
        return pairs.Count == 0 ? null : GraphPart.Either(pairs);
    }
}
