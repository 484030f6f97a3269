using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Metrics;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Labels for the words of a text, as in named entity recognition.</summary>
/// <remarks>Rows: <c>{"tokens": [words], "tags": [labels]}</c>; or <c>{"text", "entities": [{"start", "end",
/// "label"}]}</c>, which are learned as B- and I- tags; or <c>{"input_ids", "labels"}</c>.</remarks>
internal sealed class TokenClassificationKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "token_classification";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.TokenClassification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["labels", "new_head"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        var column = new LabelColumn();
        var variety = new LabelVariety();
        var entities = new HashSet<string>();
        bool marksSpans = false;
        DataPlace? numbered = null;
        foreach (Row row in data.ReadAll(foreign: false))
        {
            column.AddFields(row);
            string key = TextRows.HoldsTokens(row) ? "labels" : TagReader.TagKey(row);
            foreach (JsonNode? tag in row.Fields[key] as JsonArray ?? [])
            {
                if (LabelValue.Name(tag) is not { } name || name == "-100") continue;
                if (key != "labels" && tag!.GetValueKind() == JsonValueKind.Number) numbered ??= row.Place;
                column.Add(tag, row.Place);
                variety.Add(name);
            }
            marksSpans |= row.Fields["entities"] is not null;
            foreach (JsonNode? entity in row.Fields["entities"] as JsonArray ?? [])
                if (LabelValue.Name((entity as JsonObject)?["label"]) is { } name) entities.Add(name);
        }
        var notes = new List<Words>();
        if (variety.OnlyOne && !marksSpans)
            notes.Add(
                $"every word has the same tag, so the model only learns to give it always. Add rows with " +
                $"other tags");
        if (settings.Labels is not null) return settings with { Notes = notes };
        if (numbered is { } place && column.OfBase(config) is null)
            throw new InputException(
                $"{place}: the tags are numbers without names. Name all tags in the order of their numbers, such as " +
                $"[O, B-PER, I-PER]{KnownSettings.Labels.Aside}.");
        if (!marksSpans) return settings with { Labels = column.Choose(config, notes), Notes = notes };
        foreach (
            string tag in (string[])["O", .. entities.SelectMany(entity => new[] { "B-" + entity, "I-" + entity })])
            column.Add(tag, default);
        IReadOnlyList<string> chosen = column.Choose(config, notes);
        // "O" is 0 in every published tag set.
        return settings with { Labels = column.OfBase(config) is null ? ["O", .. chosen.Where(label => label != "O")]
            : chosen, Notes = notes };
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => settings.Labels!.Count;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new TokenClassificationTask(model, tokenizer, settings);
}

/// <summary>Token classification on a model: cross-entropy over the labelled tokens.</summary>
internal sealed class TokenClassificationTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings)
    : ITask
{
    private const string Outside = "O"; // the tag of words outside entities, in every published tag set

    private readonly LabelSet labels = new(settings.Labels!);
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<Words>();
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        var reader = new TagReader(rows, labels);
        return new TaskData(RowReader.Read(source, row => new[] { reader.Read(row, labelled: true) }, notes),
            [.. notes, .. rows.Warnings, .. reader.Notes]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        TaggedText[] texts = [.. rows.Cast<TaggedText>()];
        Tensor scores = Scores(texts, dropout); // [batch, sequence, labels]
        if (board is TagAccumulator results)
            results.Add(texts, scores.argmax(-1).cpu().data<long>().ToArray(), (int)scores.shape[1]);
        Tensor truth = tensor(InputBatch.Labels([.. texts.Select(text => text.Labels)]), device: Network.Device);
        return nn.functional.cross_entropy(
            scores.reshape(-1, scores.shape[2]), truth, ignore_index: TokenizedExample.Ignored,
            reduction: nn.Reduction.Sum)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new TagAccumulator(labels.Names);

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null)
    {
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        var reader = new TagReader(rows, labels);
        List<(TaggedText Text, Row Row)> texts =
            RowReader.Read(source, row => new[] { (reader.Read(row, labelled: false), row) }, notes);
        foreach (Words warning in rows.Warnings) notes?.Add(warning);
        return texts.Chunk(batchSize).SelectMany(Answers);
    }

    /// <inheritdoc/>
    public AdapterTask Describe() =>
        new("token_classification") { Labels = labels.Names, MaxLength = settings.MaxLength };

    private List<JsonObject> Answers((TaggedText Text, Row Row)[] texts)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        TaggedText[] read = [.. texts.Select(one => one.Text)];
        Tensor chances =
            nn.functional.softmax(
                FiniteOutput.Require(Scores(read, null), Network, "scores", () => Scores(read, null)), -1);
        (Tensor best, Tensor label) = chances.max(-1);
        float[] certain = best.cpu().contiguous().data<float>().ToArray();
        long[] chosen = label.cpu().contiguous().data<long>().ToArray();
        int length = (int)chances.shape[1];
        return [.. texts.Select(
            (one, row) => Answer(
                one.Text, one.Row, [.. one.Text.Words.Select(word => word.Token < 0 ? (Untagged, (float?)null)
            : (labels.Names[(int)chosen[row * length + word.Token]], certain[row * length + word.Token]))]))];
    }

    // The result for a word that the model never sees: one without a token, or behind the cut. There is still one tag
    // per word.
    private string? Untagged => labels.Names.Contains(Outside) ? Outside : null;

    private static JsonObject Answer(TaggedText text, Row row, List<(string? Tag, float? Probability)> found)
    {
        var tags = new JsonArray([.. found.Select(one => (JsonNode?)one.Tag)]);
        var probabilities = new JsonArray([.. found.Select(one => (JsonNode?)one.Probability)]);
        if (!row.Fields.ContainsKey("text") || TextRows.HoldsTokens(row))
            return new JsonObject { ["tags"] = tags, ["probabilities"] = probabilities };
        return new JsonObject { ["entities"] = Entities(text, row.Text("text")!, found) };
    }

    // Joins neighbouring tokens of an entity to a span of the text, in code points, with the mean probability of its
    // tokens.
    private static JsonArray Entities(TaggedText text, string whole, List<(string? Tag, float? Probability)> found)
    {
        var offsets = new TextOffsets(whole);
        var entities = new JsonArray();
        for (int i = 0; i < found.Count;)
        {
            if (found[i].Tag is not { } first || first == Outside)
            {
                i++;
                continue;
            }
            string label = Type(first);
            int end = i + 1;
            while (end < found.Count && found[end].Tag is { } next && next != Outside && Type(next) == label
                && !next.StartsWith("B-", StringComparison.Ordinal))
                end++;
            (int from, int to) = (offsets.Start(text.Words[i].Start), offsets.End(text.Words[end - 1].End));
            entities.Add(new JsonObject
            {
                ["start"] = from,
                ["end"] = to,
                ["label"] = label,
                ["text"] = whole[offsets.Units(from)..offsets.Units(to)],
                ["probability"] = found[i..end].Average(one => one.Probability),
            });
            i = end;
        }
        return entities;
    }

    private static string Type(string tag) => tag.Length > 2 && tag[1] == '-' ? tag[2..] : tag;

    private Tensor Scores(TaggedText[] texts, Generator? dropout) =>
        model.Sequence.Scores(
            InputBatch.Create([.. texts.Select(text => text.Input)], padding, Network.Device), dropout);
}

/// <summary>Collects predicted and correct labels of tokens. Entity tags (B-, I-, O) are counted by entity, others by
/// token.</summary>
internal sealed class TagAccumulator(IReadOnlyList<string> labels) : IMetricAccumulator
{
    private readonly List<int[]> truth = [];
    private readonly List<int[]> predicted = [];

    public void Add(IReadOnlyList<TaggedText> texts, long[] found, int length)
    {
        for (int row = 0; row < texts.Count; row++)
        {
            int[] counted =
                [.. Enumerable.Range(0, texts[row].Labels.Length)
                .Where(i => texts[row].Labels[i] != TokenizedExample.Ignored)];
            truth.Add([.. counted.Select(i => texts[row].Labels[i])]);
            predicted.Add([.. counted.Select(i => (int)found[row * length + i])]);
        }
    }

    public IReadOnlyDictionary<string, double?> Metrics()
    {
        ClassificationMetrics tokens = ClassificationMetrics.Compute(
            [.. truth.SelectMany(row => row)], [.. predicted.SelectMany(row => row)], labels.Count);
        var metrics = new Dictionary<string, double?> { ["accuracy"] = tokens.Accuracy };
        if (labels.Contains("O") && labels.All(label => label == "O" || (label.Length > 2 && label[1] == '-')))
        {
            string[][] Names(List<int[]> rows) => [.. rows.Select(row => row.Select(label => labels[label]).ToArray())];
            EntityMetrics entities = EntityMetrics.Compute(Names(truth), Names(predicted));
            metrics["precision"] = entities.Precision;
            metrics["recall"] = entities.Recall;
            metrics["f1"] = entities.F1;
            return metrics;
        }
        metrics["macro_f1"] = tokens.MacroF1;
        metrics["weighted_f1"] = tokens.WeightedF1;
        return metrics;
    }
}
