using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Metrics;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Labels for whole texts, or pairs of texts: one, several, or a number.</summary>
/// <remarks>Rows: <c>{"text"[, "text_pair"], "label"}</c>, <c>{"text"[, "text_pair"], "labels": […]}</c> for several
/// labels, <c>"label": 3.5</c> for regression; or <c>"input_ids"</c> instead of texts.</remarks>
internal sealed class SequenceClassificationKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "sequence_classification";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.SequenceClassification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["labels", "problem", "new_head"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        if (settings.Problem == Problems.Regression) return settings;
        var column = new LabelColumn();
        var targets = new LabelVariety();
        bool several = false, single = false;
        IReadOnlyList<Row> rows = data.ReadAll(foreign: false);
        foreach (Row row in rows)
        {
            column.AddFields(row);
            if (LabelValue.List(row.Fields["labels"]) is { } list)
            {
                several = true;
                column.AddList(list, row.Place);
                targets.Add(string.Join('\n', list.Select(LabelValue.Name).Order(StringComparer.Ordinal)));
            }
            if (LabelValue.Name(row.Fields["label"]) is not { } name) continue;
            single = true;
            column.Add(row.Fields["label"], row.Place);
            targets.Add(LabelValue.Canonical(name));
        }
        if (column.IsEmpty && settings.Labels is null && rows.Count > 0)
        {
            Problem lacking = Row.Lacking(rows[0].Fields, "label");
            throw new InputException(lacking with
            {
                Text = Words.Of(
                    $"The training data has no label: {lacking.Text} If the table has no header " +
                    $"line, read it without one{KnownSettings.TableHeader.To("false").Aside}; its columns are then " +
                    $"numbered from 0."),
            });
        }
        if (several && single)
            throw new InputException(
                "Some rows have \"label\" and some \"labels\". Expected \"label\" in all (one label per text), or " +
                "\"labels\" in all (any number of labels).");
        return Choose(settings, column, several, config, targets);
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => settings.Problem == Problems.Regression ? 1 : settings.Labels!.Count;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new SequenceClassificationTask(model, tokenizer, settings);

    private static TaskSettings Choose(
        TaskSettings settings, LabelColumn column, bool several, ConfigReader config, LabelVariety targets)
    {
        var notes = new List<Words>();
        bool numbers = settings is { Problem: null, Labels: null } && !several && column.HasFractions;
        string problem = settings.Problem
            ?? (several ? Problems.MultiLabel : numbers ? Problems.Regression : Problems.SingleLabel);
        if (numbers)
            notes.Add(
                $"labels are numbers with fractions, read as {Problems.Regression}; {Problems.SingleLabel}" +
                $"{KnownSettings.Problem.Aside} learns them as names");
        if (problem == Problems.Regression) return settings with { Problem = problem, Notes = notes };
        IReadOnlyList<string> labels = problem == Problems.MultiLabel && column.TableWidth is { } width
            ? LabelTable.Names(settings.Labels, width, config, notes)
            : settings.Labels is { } given ? new LabelSet(given).Names : column.Choose(config, notes);
        if (problem == Problems.SingleLabel && labels.Count == 1)
            throw new InputException(
                $"The data has one label, {labels[0]}: with only one label there is nothing to learn. Add " +
                $"rows with other labels, or name all labels{KnownSettings.Labels.Aside}.");
        if (targets.OnlyOne)
            notes.Add(
                $"every row has the same label, so the model only learns to give it always. Add rows with " +
                $"other labels");
        return settings with { Problem = problem, Labels = labels, Notes = notes };
    }
}

/// <summary>Sequence classification on a model: cross-entropy for one label per text, binary cross-entropy averaged
/// over the labels for several, squared error for regression, as in transformers.</summary>
internal sealed class SequenceClassificationTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings)
    : ITask
{
    private readonly string problem = settings.Problem ?? Problems.SingleLabel;
    private readonly LabelSet? labels = settings.Problem == Problems.Regression ? null : new LabelSet(settings.Labels!);
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<Words>();
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        bool tables = problem == Problems.MultiLabel && HoldsTables(source);
        List<ClassifiedText> examples =
            RowReader.Read(source, row => new[] { Example(rows, row, given => Target(given, tables)) }, notes);
        return new TaskData(examples, [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        ClassifiedText[] texts = [.. rows.Cast<ClassifiedText>()];
        Tensor scores = Scores(texts, dropout);
        if (board is ClassificationAccumulator results) results.Add(texts, scores.cpu().data<float>().ToArray());
        Tensor loss = problem switch
        {
            Problems.Regression => nn.functional.mse_loss(scores.view(-1), Values(texts), nn.Reduction.Sum),
            Problems.MultiLabel =>
            nn.functional.binary_cross_entropy_with_logits(
                scores, Values(texts).view(texts.Length, -1), reduction: nn.Reduction.Sum)
                / Number(labels!.Names.Count),
            _ => nn.functional.cross_entropy(scores, Values(texts).to(ScalarType.Int64), reduction: nn.Reduction.Sum),
        };
        return loss.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new ClassificationAccumulator(problem, labels?.Names.Count ?? 1);

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null)
    {
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        List<ClassifiedText> examples = RowReader.Read(source, row => new[] { Example(rows, row, null) }, notes);
        foreach (Words warning in rows.Warnings) notes?.Add(warning);
        return examples.Chunk(batchSize).SelectMany(Answers);
    }

    /// <inheritdoc/>
    public AdapterTask Describe() =>
        new("sequence_classification") { Labels = labels?.Names, Problem = problem, MaxLength = settings.MaxLength };

    private List<JsonObject> Answers(ClassifiedText[] texts)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor scores = FiniteOutput.Require(Scores(texts, null), Network, "scores", () => Scores(texts, null));
        if (problem == Problems.Regression)
            return [.. scores.cpu().data<float>().ToArray().Select(value => new JsonObject { ["score"] = value })];
        Tensor chances = problem == Problems.MultiLabel ? scores.sigmoid() : nn.functional.softmax(scores, -1);
        return [.. chances.cpu().data<float>().ToArray().Chunk(labels!.Names.Count).Select(Answer)];
    }

    private JsonObject Answer(float[] chances)
    {
        IReadOnlyList<string> names = labels!.Names;
        var all = new JsonObject(names.Select((name, i) => KeyValuePair.Create(name, (JsonNode?)chances[i])));
        if (problem == Problems.MultiLabel)
            return new JsonObject { ["labels"] = new JsonArray(
                [.. names.Where((_, i) => chances[i] > 0.5f).Select(name => (JsonNode?)name)]),
                ["probabilities"] = all };
        int best = Array.IndexOf(chances, chances.Max());
        return new JsonObject { ["label"] = names[best], ["probability"] = chances[best], ["probabilities"] = all };
    }

    private Tensor Scores(ClassifiedText[] texts, Generator? dropout) =>
        model.Sequence.Scores(
            InputBatch.Create([.. texts.Select(text => text.Input)], padding, Network.Device), dropout);

    private Tensor Values(ClassifiedText[] texts) =>
        tensor(texts.SelectMany(text => text.Target!).Select(value => (float)value).ToArray(), device: Network.Device);

    private static ClassifiedText Example(TextRows rows, Row row, Func<Row, double[]>? target)
    {
        var fields = new RowFields(row.Fields);
        TextInput? input = null;
        if (TextRows.HoldsTokens(row)) input = rows.Tokens(fields, row);
        else
        {
            string first = fields.FilledText("text", "Expected the text to label.");
            string? second = row.Fields.ContainsKey("text_pair")
                ? fields.FilledText("text_pair", "Expected the second text; remove the key if there is none.")
                : null;
            fields.ThrowIfWrong();
            input = TextRows.Input(rows.Encode(first, second));
        }
        fields.ThrowIfWrong();
        return new ClassifiedText(input, target?.Invoke(row), row.Place);
    }

    // Decides for all rows: a single list such as [1, 0] could contain labels or one position per label.
    private static bool HoldsTables(RowSource source)
    {
        var column = new LabelColumn();
        foreach (Row row in source.Reading(foreign: false).Rows())
            if (LabelValue.List(row.Fields["labels"]) is { } list) column.AddList(list, row.Place);
        return column.TableWidth is not null;
    }

    private double[] Target(Row row, bool tables)
    {
        string key = problem == Problems.MultiLabel ? "labels" : "label";
        if (row.Fields[key] is not { } label)
            throw new InputException(Row.Lacking(row.Fields, key, $"The task's problem is {problem}."));
        if (problem == Problems.Regression) return [Score(label)];
        if (problem == Problems.SingleLabel) return [labels!.Number(label)];
        if (LabelValue.List(label) is not { } several)
            throw new InputException($"\"labels\" is {label.ToJsonString()}, expected a list of labels.");
        if (tables) return LabelTable.Read(several, labels!.Names.Count);
        var target = new double[labels!.Names.Count];
        foreach (JsonNode? one in several) target[labels.Number(one)] = 1;
        return target;
    }

    private double Score(JsonNode label)
    {
        if (LabelValue.Name(label) is null && LabelValue.List(label) is null)
            throw new InputException(LabelSet.Missing(label));
        if (LabelValue.Number(label) is not { } value)
            throw new InputException(
                $"\"label\" is {label.ToJsonString()}, expected a number, such as 3.5 (the task's problem is " +
                $"{problem}).");
        if (!float.IsFinite((float)(value * value)))
            throw new InputException(
                $"\"label\" is {label.ToJsonString()}, too large to learn: its square, which the loss takes, is " +
                "beyond float32. Scale the labels, to about 0 to 1 at best.");
        return value;
    }
}

/// <summary>A text and its label.</summary>
/// <param name="Input">The text, or pair of texts.</param>
/// <param name="Target">The label's number; for several labels 1 for each that applies and 0 for the others; for
/// regression the value. Null if the row has no label.</param>
/// <param name="Place">The row it was made from.</param>
internal sealed record ClassifiedText(TextInput Input, double[]? Target, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Target is null ? 0 : 1;
}

/// <summary>Collects predicted and correct labels of texts.</summary>
internal sealed class ClassificationAccumulator(string problem, int labels) : IMetricAccumulator
{
    private readonly List<double[]> truth = [];
    private readonly List<float[]> scores = [];

    public void Add(IReadOnlyList<ClassifiedText> texts, float[] found)
    {
        truth.AddRange(texts.Select(text => text.Target!));
        scores.AddRange(found.Chunk(labels));
    }

    public IReadOnlyDictionary<string, double?> Metrics() => problem switch
    {
        Problems.Regression => Regression(),
        Problems.MultiLabel => Several(),
        _ => Single(),
    };

    private Dictionary<string, double?> Single()
    {
        ClassificationMetrics m = ClassificationMetrics.Compute(
            [.. truth.Select(one => (int)one[0])], [.. scores.Select(row => Array.IndexOf(row, row.Max()))], labels);
        return new() { ["accuracy"] = m.Accuracy, ["macro_f1"] = m.MacroF1, ["weighted_f1"] = m.WeightedF1,
            ["matthews"] = m.Matthews };
    }

    private Dictionary<string, double?> Several()
    {
        MultiLabelMetrics m = MultiLabelMetrics.Compute(
            [.. truth.Select(row => row.Select(value => value > 0.5).ToArray())],
            [.. scores.Select(row => row.Select(score => score > 0).ToArray())]);
        return new() { ["subset_accuracy"] = m.SubsetAccuracy, ["micro_f1"] = m.MicroF1, ["macro_f1"] = m.MacroF1,
            ["weighted_f1"] = m.WeightedF1 };
    }

    private Dictionary<string, double?> Regression()
    {
        RegressionMetrics m =
            RegressionMetrics.Compute([.. truth.Select(one => one[0])], [.. scores.Select(row => (double)row[0])]);
        return new() { ["mean_squared_error"] = m.MeanSquaredError, ["mean_absolute_error"] = m.MeanAbsoluteError,
            ["pearson"] = m.Pearson, ["spearman"] = m.Spearman };
    }
}

/// <summary>transformers' names for the problem type of a text classifier (problem_type).</summary>
internal static class Problems
{
    /// <summary>One label per text.</summary>
    public const string SingleLabel = "single_label_classification";

    /// <summary>Any number of labels per text.</summary>
    public const string MultiLabel = "multi_label_classification";

    /// <summary>One number per text.</summary>
    public const string Regression = "regression";

    /// <summary>All problem types.</summary>
    public static IReadOnlyList<string> All { get; } = [SingleLabel, MultiLabel, Regression];
}
