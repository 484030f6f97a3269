using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tokenizers;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Transforming one text into another with an encoder-decoder such as T5.</summary>
/// <remarks>Rows: <c>{"prompt", "completion"}</c>; or <c>{"input_ids", "labels"}</c>.</remarks>
internal sealed class SequenceToSequenceKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "seq2seq";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = [];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family is T5;

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new SequenceToSequenceTask(model, tokenizer, settings);
}

/// <summary>Sequence to sequence on a model: cross-entropy over the target's tokens, each predicted from the source and
/// the target before it.</summary>
internal sealed class SequenceToSequenceTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings)
    : IGeneratingTask
{
    private readonly EncoderDecoder network = model.Network as EncoderDecoder
        ?? throw new InputException(
            $"{model.Folder} is a {model.Config.ModelType} model; seq2seq needs an encoder-decoder such as t5.");
    private IReadOnlyList<Words> cutSources = [];
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<Words>();
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        return new TaskData(RowReader.Read(source, row => new[] { Example(rows, row) }, notes, foreign: true),
            [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        TextPairExample[] pairs = [.. rows.Cast<TextPairExample>()];
        ModelInput source = InputBatch.Create([.. pairs.Select(pair => pair.Input)], padding, network.Device);
        Tensor truth = tensor(InputBatch.Labels([.. pairs.Select(pair => pair.Labels)]), device: network.Device).view(
            pairs.Length, -1);
        // The decoder reads the target shifted by one, after its start token; tokens that are not learned become
        // padding.
        Tensor begin = full(pairs.Length, 1, Number(network.Shape.StartTokenId), ScalarType.Int64, network.Device);
        Tensor targets = cat([begin, truth.narrow(1, 0, truth.shape[1] - 1)], 1);
        targets = where(targets == Number(TokenizedExample.Ignored), full_like(targets, Number(padding)), targets);
        Tensor states = network.TargetStates(source, targets, dropout);
        Tensor flat = truth.reshape(-1);
        Tensor places = (flat != Number(TokenizedExample.Ignored)).nonzero().squeeze(1);
        Tensor logits = network.Logits(states.reshape(-1, states.shape[2]).index_select(0, places), dropout);
        return nn.functional.cross_entropy(logits, flat.index_select(0, places), reduction: nn.Reduction.Sum)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator? NewBoard() => null;

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null) =>
        Generate(
            PromptRows.Read(source, referenced: false, notes), batchSize,
            new GenerationOptions { MaxNewTokens = settings.MaxNewTokens })
            .Select(text => new JsonObject { ["text"] = text });

    /// <inheritdoc/>
    public IReadOnlyList<Words> GenerationNotes => cutSources;

    /// <inheritdoc/>
    public IEnumerable<string> Generate(
        IReadOnlyList<Row> prompted, int batchSize, GenerationOptions options, CancellationToken cancellation = default)
    {
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        Tokenizer words = rows.Tokenizer;
        List<TextInput> sources = [.. prompted.Select(row => TextRows.Input(rows.Encode(row.Text("prompt")
            ?? throw new InputException(
                $"{row.Place}: the row has no \"prompt\"; expected the text to transform."), null)))];
        cutSources = rows.Warnings;
        var generator = new SequenceGenerator(network, padding);
        options = options with { StopTokenIds = [.. options.StopTokenIds, .. model.Generation.StopTokens(words)] };
        return sources.Chunk(batchSize).SelectMany(batch =>
        {
            IReadOnlyList<IReadOnlyList<int>> texts =
                generator.Generate([.. batch.Select(source => source.Ids)], options, cancellation);
            cancellation.ThrowIfCancellationRequested(); // which leaves them unfinished
            return texts;
        }).Select(ids => words.Decode(ids, skipSpecialTokens: true).Trim());
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new("seq2seq") { MaxLength = settings.MaxLength };

    private TextPairExample Example(TextRows rows, Row row)
    {
        var fields = new RowFields(row.Fields);
        if (TextRows.HoldsTokens(row))
        {
            TextInput input = rows.Tokens(fields, row);
            int[] given = fields.Numbers("labels", id => id == TokenizedExample.Ignored
                || (id >= 0 && id < network.VocabularySize),
                $"-100, or a token id from 0 to {network.VocabularySize - 1}");
            if (given.All(label => label == TokenizedExample.Ignored))
                fields.Problem("\"labels\" has no token to learn.");
            fields.ThrowIfWrong();
            return new TextPairExample(input, given, row.Place);
        }
        string source = fields.FilledText("prompt", "Expected the source text."),
            target = fields.FilledText("completion", "Expected the target text.");
        fields.ThrowIfWrong();
        int[] labels = PromptEncoding.Ended(rows.Tokenizer, rows.Encode(target, null).Ids);
        return new TextPairExample(TextRows.Input(rows.Encode(source, null)), labels, row.Place);
    }
}

/// <summary>A source text and its target.</summary>
/// <param name="Input">The source.</param>
/// <param name="Labels">The target's tokens, -100 for those that are not learned.</param>
/// <param name="Place">The row it was made from.</param>
internal sealed record TextPairExample(TextInput Input, int[] Labels, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Math.Max(Input.Length, Labels.Length);

    /// <inheritdoc/>
    public int Tokens => Input.Tokens + Labels.Length;

    /// <inheritdoc/>
    public int PredictedLabels => Labels.Count(label => label != TokenizedExample.Ignored);
}
