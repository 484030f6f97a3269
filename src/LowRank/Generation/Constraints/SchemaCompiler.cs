using System.Text;
using System.Text.Json;

namespace LowRank.Generation;

/// <summary>Compiles JSON Schemas (draft 2020-12) into constraints.</summary>
internal sealed class SchemaCompiler
{
    private const int MostCharacters = 500_000;
    private const int MostNested = 100;
    private const int MostRules = 5_000;

    private static readonly Dictionary<string, int> NoMarks = [];

    private readonly SchemaDocument document;
    private readonly SchemaReader reader;
    private readonly Dictionary<string, RulePart> rules = new(StringComparer.Ordinal);
    private readonly Queue<(Conjunction Schemas, RulePart Rule)> open = [];
    private readonly ObjectCompiler objects;
    private readonly SchemaValues values;

    private SchemaCompiler(JsonElement schema)
    {
        document = new SchemaDocument(schema);
        reader = new SchemaReader(document);
        values = new SchemaValues(reader);
        objects = new ObjectCompiler(document, RuleOf);
    }

    /// <summary>The values that a schema allows.</summary>
    /// <exception cref="InputException">See <see cref="TextConstraint.JsonSchema"/>.</exception>
    public static TextConstraint Compile(JsonElement schema)
    {
        if (schema.GetRawText().Length > MostCharacters)
            throw new InputException(
                $"The JSON Schema has {schema.GetRawText().Length} characters, expected at most {MostCharacters}.");
        CheckDepth(schema.GetRawText());
        return new SchemaCompiler(schema).Compile();
    }

    // Values in it are written and compared by functions that call themselves.
    private static void CheckDepth(string text)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text), new JsonReaderOptions { MaxDepth = MostNested });
        try
        {
            while (reader.Read()) continue;
        }
        catch (JsonException e)
        {
            throw new InputException($"The JSON Schema is not JSON, or nested more than {MostNested} deep.", e);
        }
    }

    private RulePart Compile()
    {
        RulePart all = RuleOf(new Conjunction(document.Root));
        while (open.TryDequeue(out (Conjunction Schemas, RulePart Rule) next))
        {
            next.Rule.Content = ContentOf(next.Schemas);
            if (rules.Count <= MostRules) continue;
            document.Report(document.Root, null, $"has more than {MostRules} schemas, those of merged ones included");
            break;
        }
        document.Check();
        new SchemaDisjointness(reader, document.Budget).Check(document);
        document.Check();
        var grammar = new GrammarBuilder(NoMarks).Build(all, _ => true);
        if (grammar.IsEmpty)
            throw new InputException("The JSON Schema allows no value that could be written: its conditions " +
                $"contradict each other, or its values nest more than {Grammar.MostLevels} deep.");
        return all;
    }

    // A rule per set of schemas, so that schemas may refer to themselves.
    private RulePart RuleOf(Conjunction schemas)
    {
        if (rules.TryGetValue(schemas.Key, out RulePart? rule)) return rule;
        rules[schemas.Key] = rule = new RulePart(nests: false);
        open.Enqueue((schemas, rule));
        return rule;
    }

    private TextConstraint ContentOf(Conjunction schemas)
    {
        if (schemas.Places.Count == 0) return JsonGrammar.AnyValue();
        try
        {
            TextConstraint[] parts = [.. reader.Read(schemas).SelectMany(shape => PartsOf(shape, schemas))];
            return parts.Length == 0 ? JsonGrammar.Nothing : GraphPart.Either(parts);
        }
        catch (InputException e)
        {
            document.Report(schemas.Places[0], null, e.Message);
            return JsonGrammar.Nothing;
        }
    }

    private IEnumerable<TextConstraint> PartsOf(SchemaShape shape, Conjunction schemas)
    {
        if (shape.Values is not null)
            return values.Fitting(shape).Select(JsonGrammar.Exactly);
        List<TextConstraint> parts = [];
        if (shape.Types.HasFlag(JsonTypes.Null)) parts.Add(JsonGrammar.Null);
        if (shape.Types.HasFlag(JsonTypes.Boolean)) parts.Add(JsonGrammar.Boolean);
        if (shape.Types.HasFlag(JsonTypes.Number)) parts.Add(NumberOf(shape));
        if (shape.Types.HasFlag(JsonTypes.String)) parts.Add(StringOf(shape));
        if (shape.Types.HasFlag(JsonTypes.Array)) parts.Add(ArrayOf(shape));
        if (shape.Types.HasFlag(JsonTypes.Object)) parts.Add(objects.Compile(shape, schemas));
        return parts;
    }

    private TextConstraint NumberOf(SchemaShape shape) =>
        shape is { AreWhole: false, Limits.Count: 0, Divisors.Count: 0 } ? JsonGrammar.AnyNumber
            : new PatternPart(reader.NumberContent(shape), CharacterEncoding.Plain);

    private TextConstraint StringOf(SchemaShape shape) =>
        shape.Length.IsEmpty ? JsonGrammar.Nothing
            : shape.Patterns.Count > 0 ? JsonGrammar.String(reader.StringContent(shape))
            : shape.Length.IsAny ? JsonGrammar.AnyString
            : JsonGrammar.String(shape.Length.Least, shape.Length.Most);

    private TextConstraint ArrayOf(SchemaShape shape)
    {
        if (shape.Items.IsEmpty) return JsonGrammar.Nothing;
        if (shape.ItemClauses.Count == 0 && shape.Items.IsAny) return JsonGrammar.AnyArray();
        (int least, int? most) = (shape.Items.Least, shape.Items.Most);
        int prefix = shape.ItemClauses.Select(clause => clause.Prefix.Count).DefaultIfEmpty(0).Max();
        TextConstraint rest = RuleOf(shape.Item(prefix));
        List<(int, TextConstraint?, int)> edges = [];
        int end = prefix + 1; // after the nodes with 0 … prefix items
        for (int i = 0; i <= prefix && (most is null || i <= most); i++)
        {
            if (i >= least) edges.Add((i, null, end));
            if (i < prefix)
                edges.Add((i, i == 0 ? RuleOf(shape.Item(0)) : GraphPart.Chain(JsonGrammar.Comma,
                    RuleOf(shape.Item(i))), i + 1));
            else if (prefix == 0) edges.Add((0, RepeatPart.Of(rest, least, most, JsonGrammar.Comma), end));
            else
                edges.Add((i, RepeatPart.Of(GraphPart.Chain(JsonGrammar.Comma, rest), Math.Max(0, least - prefix),
                    most - prefix, null), end));
        }
        var content = new GraphPart(end + 1, 0, end, edges);
        return new RulePart(nests: true) { Content = JsonGrammar.Enclosed('[', content, ']') };
    }
}
