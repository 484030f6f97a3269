using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Predicting masked tokens, to adapt an encoder to a domain (arXiv 1810.04805, 2004.10964).</summary>
/// <remarks>Rows: <c>{"text"}</c>; or <c>{"input_ids", "labels"}</c> with masks already set. For prediction, the text
/// contains the tokenizer's mask token.</remarks>
internal sealed class MaskedLanguageModelKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "masked_lm";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["mask_share"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family is EncoderFamily;

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new MaskedLanguageModelTask(model, tokenizer, settings);
}

/// <summary>Masked language modelling on an encoder: of ten selected tokens, eight are masked, one is replaced by
/// another token and one stays (arXiv 1810.04805, appendix A.1).</summary>
/// <remarks>Training selects new tokens each time with the run's random generator. Evaluation always selects the same
/// ones, derived from the row, so losses can be compared.</remarks>
internal sealed class MaskedLanguageModelTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings)
    : ITask
{
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    private int MaskId => tokenizer?.MaskTokenId
        ?? throw new InputException(
            $"{model.Folder}: the tokenizer has no mask_token, which masked_lm needs. Add it to " +
            "tokenizer_config.json.");

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<Words>();
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        return new TaskData(
            RowReader.Read(source, row => new[] { Example(rows, row) }, notes), [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        List<(TextInput Input, int[] Labels)> masked =
            [.. rows.Cast<MaskedText>().Select(text => Masked(text, dropout))];
        ModelInput input = InputBatch.Create([.. masked.Select(one => one.Input)], padding, Network.Device);
        long[] labels = InputBatch.Labels([.. masked.Select(one => one.Labels)]);
        long[] places =
            [.. Enumerable.Range(0, labels.Length).Where(i => labels[i] != TokenizedExample.Ignored)
            .Select(i => (long)i)];
        Tensor states = model.Sequence.States(input, dropout);
        Tensor predicting = states.reshape(-1, states.shape[^1]).index_select(
            0, tensor(places, device: Network.Device));
        Tensor scores = model.Sequence.Head!.Forward(predicting, dropout);
        Tensor truth = tensor(places.Select(place => labels[place]).ToArray(), device: Network.Device);
        if (board is MaskedAccumulator results)
            results.Add(scores.argmax(-1).eq(truth).sum().item<long>(), places.Length);
        return nn.functional.cross_entropy(scores, truth, reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new MaskedAccumulator();

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null)
    {
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        int mask = MaskId;
        List<TextInput> texts = RowReader.Read(source, row =>
        {
            var fields = new RowFields(row.Fields);
            TextInput? input = TextRows.HoldsTokens(row) ? rows.Tokens(fields, row) : null;
            string text = input is null ? fields.FilledText("text", "Expected a text with the mask token.") : "";
            fields.ThrowIfWrong();
            input ??= TextRows.Input(rows.Encode(text, null));
            if (!input.Ids.Contains(mask))
                throw new InputException(
                    $"the text has no mask token {tokenizer!.IdToToken(mask)}; put it in place of a word to predict.");
            return new[] { input };
        }, notes);
        foreach (Words warning in rows.Warnings) notes?.Add(warning);
        return texts.Chunk(batchSize).SelectMany(batch => Answers(batch, mask));
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new("masked_lm") { MaxLength = settings.MaxLength };

    private List<JsonObject> Answers(TextInput[] texts, int mask)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor states = model.Sequence.States(InputBatch.Create(texts, padding, Network.Device));
        Tensor Scores(int row, int place) =>
            FiniteOutput.Require(model.Sequence.Head!.Forward(states[row, place], null), Network, "scores",
            () => model.Sequence.Scores(InputBatch.Create(texts, padding, Network.Device)));
        return [.. texts.Select((text, row) => new JsonObject
        {
            ["masks"] = new JsonArray(
                [.. Enumerable.Range(0, text.Length).Where(i => text.Ids[i] == mask)
                .Select(i => (JsonNode)Candidates(Scores(row, i)))]),
        })];
    }

    private JsonArray Candidates(Tensor scores)
    {
        const int Shown = 5;
        (Tensor chances, Tensor tokens) = nn.functional.softmax(scores, -1).topk(Shown);
        float[] chance = chances.cpu().data<float>().ToArray();
        long[] token = tokens.cpu().data<long>().ToArray();
        return new JsonArray(
            [.. token.Select(
                (id, i) =>
                (JsonNode)new JsonObject
                {
                    ["token"] = tokenizer!.Decode([(int)id]).Trim(),
                    ["probability"] = chance[i],
                })]);
    }

    private MaskedText Example(TextRows rows, Row row)
    {
        var fields = new RowFields(row.Fields);
        if (TextRows.HoldsTokens(row))
        {
            TextInput input = rows.Tokens(fields, row);
            int vocabulary = Network.VocabularySize;
            int[] labels =
                fields.Numbers("labels", id => id == TokenizedExample.Ignored || (id >= 0 && id < vocabulary),
                $"-100, or a token id from 0 to {vocabulary - 1}");
            if (labels.Length != input.Length)
                fields.Problem($"\"labels\" has {labels.Length} entries, expected {input.Length}, one for each token.");
            fields.ThrowIfWrong();
            return new MaskedText(input, labels, [], 0, row.Place);
        }
        string text = fields.FilledText("text", "Expected a text.");
        fields.ThrowIfWrong();
        TokenEncoding encoding = rows.Encode(text, null);
        int[] maskable =
            [.. Enumerable.Range(0, encoding.Ids.Length)
            .Where(i => !encoding.SpecialTokens[i] && !rows.Tokenizer.IsSpecial(encoding.Ids[i]))];
        if (maskable.Length == 0) throw new InputException("the text has no token that can be masked; remove the row.");
        return new MaskedText(
            TextRows.Input(encoding), null, maskable,
            Math.Max(1, (int)Math.Round(settings.MaskShare * maskable.Length)), row.Place);
    }

    private (TextInput Input, int[] Labels) Masked(MaskedText text, Generator? training)
    {
        if (text.Labels is not null) return (text.Input, text.Labels);
        double[] draws = training is null ? Fixed(text) : Drawn(3 * text.Maskable.Length, training);
        int count = text.Maskable.Length;
        int[] ids = [.. text.Input.Ids], labels = new int[ids.Length];
        Array.Fill(labels, TokenizedExample.Ignored);
        foreach (int chosen in Enumerable.Range(0, count).OrderBy(i => draws[i]).Take(text.Drawn))
        {
            int place = text.Maskable[chosen];
            labels[place] = ids[place];
            double kind = draws[count + chosen];
            if (kind < 0.8) ids[place] = MaskId;
            else if (kind < 0.9) ids[place] = (int)(draws[2 * count + chosen] * Network.VocabularySize);
        }
        return (text.Input with { Ids = ids }, labels);
    }

    private static double[] Drawn(int count, Generator generator)
    {
        using Tensor values = empty(count, ScalarType.Float64).uniform_(0, 1, generator);
        return values.data<double>().ToArray();
    }

    private double[] Fixed(MaskedText text)
    {
        ulong seed = text.Input.Ids.Aggregate((ulong)settings.Seed, (hash, id) => (hash ^ (ulong)id) * 1099511628211);
        var random = new StableRandom(seed);
        return [.. Enumerable.Range(0, 3 * text.Maskable.Length).Select(_ => random.NextDouble())];
    }
}

/// <summary>A text of which some tokens are predicted from the others.</summary>
/// <param name="Input">The text.</param>
/// <param name="Labels">Given labels, -100 where nothing is predicted; null to select tokens each time.</param>
/// <param name="Maskable">Positions that may be selected: tokens that are not special.</param>
/// <param name="Drawn">The number of positions to select.</param>
/// <param name="Place">The source row.</param>
internal sealed record MaskedText(TextInput Input, int[]? Labels, int[] Maskable, int Drawn, DataPlace? Place)
    : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Labels is null ? Drawn : Labels.Count(label => label != TokenizedExample.Ignored);
}

/// <summary>Counts correctly predicted masked tokens.</summary>
internal sealed class MaskedAccumulator : IMetricAccumulator
{
    private long right;
    private long all;

    public void Add(long correct, long predicted) => (right, all) = (right + correct, all + predicted);

    public IReadOnlyDictionary<string, double?> Metrics() =>
        new Dictionary<string, double?> { ["accuracy"] = all == 0 ? null : (double)right / all };
}
