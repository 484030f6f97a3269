using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Data.Forms;
using LowRank.Models;
using LowRank.Tokenization;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks.SequenceClassification;

/// <summary>Sequence classification on a model: cross-entropy for one label a text, binary cross-entropy averaged over the
/// labels for several, squared error for regression, as transformers computes them.</summary>
internal sealed class SequenceClassificationTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) : ITask
{
    private readonly string problem = settings.Problem ?? Problems.SingleLabel;
    private readonly LabelSet? labels = settings.Problem == Problems.Regression ? null : new LabelSet(settings.Labels!);
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<string>();
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        bool tables = problem == Problems.MultiLabel && HoldsTables(source);
        List<ClassifiedText> examples = RowReader.Read(source, sample => new[] { Example(rows, sample, given => Target(given, tables)) }, notes);
        return new TaskData(examples, [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IScoreBoard? board = null)
    {
        using var scope = NewDisposeScope();
        ClassifiedText[] texts = [.. rows.Cast<ClassifiedText>()];
        Tensor scores = Scores(texts, dropout);
        if (board is ClassificationBoard results) results.Add(texts, scores.cpu().data<float>().ToArray());
        Tensor loss = problem switch
        {
            Problems.Regression => nn.functional.mse_loss(scores.view(-1), Values(texts), nn.Reduction.Sum),
            Problems.MultiLabel => nn.functional.binary_cross_entropy_with_logits(scores, Values(texts).view(texts.Length, -1), reduction: nn.Reduction.Sum) / labels!.Names.Count,
            _ => nn.functional.cross_entropy(scores, Values(texts).to(ScalarType.Int64), reduction: nn.Reduction.Sum),
        };
        return loss.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IScoreBoard NewBoard() => new ClassificationBoard(problem, labels?.Names.Count ?? 1);

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<string>? notes = null)
    {
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        List<ClassifiedText> examples = RowReader.Read(source, sample => new[] { Example(rows, sample, null) }, notes);
        foreach (string warning in rows.Warnings) notes?.Add(warning);
        return examples.Chunk(batchSize).SelectMany(Answers);
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new("sequence_classification") { Labels = labels?.Names, Problem = problem, MaxLength = settings.MaxLength };

    private List<JsonObject> Answers(ClassifiedText[] texts)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor scores = FiniteOutput.Require(Scores(texts, null), Network, "scores", () => Scores(texts, null));
        if (problem == Problems.Regression) return [.. scores.cpu().data<float>().ToArray().Select(value => new JsonObject { ["score"] = value })];
        Tensor chances = problem == Problems.MultiLabel ? scores.sigmoid() : nn.functional.softmax(scores, -1);
        return [.. chances.cpu().data<float>().ToArray().Chunk(labels!.Names.Count).Select(Answer)];
    }

    private JsonObject Answer(float[] chances)
    {
        IReadOnlyList<string> names = labels!.Names;
        var all = new JsonObject(names.Select((name, i) => KeyValuePair.Create(name, (JsonNode?)chances[i])));
        if (problem == Problems.MultiLabel)
            return new JsonObject { ["labels"] = new JsonArray([.. names.Where((_, i) => chances[i] > 0.5f).Select(name => (JsonNode?)name)]), ["probabilities"] = all };
        int best = Array.IndexOf(chances, chances.Max());
        return new JsonObject { ["label"] = names[best], ["probability"] = chances[best], ["probabilities"] = all };
    }

    private Tensor Scores(ClassifiedText[] texts, Generator? dropout) =>
        model.Sequence.Scores(InputBatch.Create([.. texts.Select(text => text.Input)], padding, Network.Device), dropout);

    private Tensor Values(ClassifiedText[] texts) =>
        tensor(texts.SelectMany(text => text.Target!).Select(value => (float)value).ToArray(), device: Network.Device);

    private static ClassifiedText Example(TextRows rows, Sample sample, Func<Sample, double[]>? target)
    {
        var fields = new RowFields(sample.Row);
        TextInput? input = null;
        if (TextRows.HoldsTokens(sample)) input = rows.Tokens(fields, sample);
        else
        {
            string first = fields.FilledText("text", "Expected the text to label.");
            string? second = sample.Row.ContainsKey("text_pair") ? fields.FilledText("text_pair", "Expected the second text; remove the key where there is none.") : null;
            fields.ThrowIfWrong();
            input = TextRows.Input(rows.Encode(first, second));
        }
        fields.ThrowIfWrong();
        return new ClassifiedText(input, target?.Invoke(sample), sample.Place);
    }

    // One rule for all rows: a list such as [1, 0] alone does not tell whether it holds labels or a place for each.
    private static bool HoldsTables(RowSource source)
    {
        var column = new LabelColumn();
        foreach (Sample sample in source.Reading(foreign: false).Rows())
            if (LabelValue.List(sample.Row["labels"]) is { } list) column.AddList(list, sample.Place);
        return column.TableWidth is not null;
    }

    private double[] Target(Sample sample, bool tables)
    {
        string key = problem == Problems.MultiLabel ? "labels" : "label";
        if (sample.Row[key] is not { } label)
            throw new InputException($"{Sample.Lacks(sample.Row, key)} The task's problem is {problem}.");
        if (problem == Problems.Regression) return [Score(label)];
        if (problem == Problems.SingleLabel) return [labels!.Number(label)];
        if (LabelValue.List(label) is not { } several) throw new InputException($"\"labels\" is {label.ToJsonString()}, expected a list of labels.");
        if (tables) return LabelTable.Read(several, labels!.Names.Count);
        var target = new double[labels!.Names.Count];
        foreach (JsonNode? one in several) target[labels.Number(one)] = 1;
        return target;
    }

    private double Score(JsonNode label)
    {
        if (LabelValue.Name(label) is null && LabelValue.List(label) is null) throw new InputException(LabelSet.Missing(label));
        if (LabelValue.Number(label) is not { } value) throw new InputException($"\"label\" is {label.ToJsonString()}, expected a number, such as 3.5 (the task's problem is {problem}).");
        if (!float.IsFinite((float)(value * value)))
            throw new InputException($"\"label\" is {label.ToJsonString()}, too large to learn: its square, which the loss takes, is beyond float32. Scale the labels, to about 0 to 1 at best.");
        return value;
    }
}
