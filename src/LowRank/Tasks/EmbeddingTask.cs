using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Models.Sentences;
using LowRank.Tokenizers;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Embeddings of texts that are close if the texts belong together, learned from pairs (Sentence-BERT, arXiv
/// 1908.10084).</summary>
/// <remarks>Rows: <c>{"text", "positive"[, "negative"]}</c>; or <c>{"input_ids", "positive_input_ids"}</c>. For
/// prediction: <c>{"text"}</c>.</remarks>
internal sealed class EmbeddingKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "embedding";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.None;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["pooling", "temperature"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        if (settings.Pooling?.StartsWith("cls", StringComparison.Ordinal) == true
            && FamilyRegistry.Get(config.ModelType) is DecoderFamily)
            throw new InputException(
                $"{KnownSettings.Pooling} is cls, but the first token of a {config.ModelType} model sees no other; " +
                $"use mean or lasttoken.");
        return settings;
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new EmbeddingTask(model, tokenizer, settings);

    /// <summary>The embedding pipeline: the adapter's, else that of the sentence-transformers folder; the user's
    /// pooling takes precedence.</summary>
    internal static SentencePipeline Pipeline(PretrainedModel model, TaskSettings settings)
    {
        int width = model.Network switch
        {
            Encoder encoder => encoder.Shape.HiddenSize,
            Decoder decoder => decoder.Shape.HiddenSize,
            _ => throw new InputException(
                $"{model.Folder} is a {model.Config.ModelType} model, which is an encoder-decoder. Embeddings need " +
                "an encoder or a decoder."),
        };
        SentencePipeline? own = settings.Sentence ?? SentenceFolder.Read(model.Folder);
        if (own is not null && own.Width != width)
            throw new InputException(
                $"{model.Folder}: its files of sentence-transformers pool states of {own.Width} numbers, and the " +
                $"model's have {width}. Check that they belong to this model.");
        Pooling? mode = settings.Pooling is { } name ? SentenceFolder.Mode(name) : null;
        return own is null ? SentencePipeline.Plain(width, mode ?? Pooling.Mean) : mode is null ? own
            : own with { Modes = [mode.Value] };
    }
}

/// <summary>Text embedding on a model: for each text the cross-entropy of its partner among all partners and negatives
/// of the micro-batch, by cosine over temperature (InfoNCE, arXiv 1807.03748; in-batch negatives, arXiv
/// 1705.00652).</summary>
/// <remarks>The loss grows with the batch, so compare only losses of the same batch size.</remarks>
internal sealed class EmbeddingTask : ITask
{
    private readonly PretrainedModel model;
    private readonly Tokenizer? tokenizer;
    private readonly TaskSettings settings;
    private readonly Lazy<int> promptTokens;
    private readonly int padding;
    private readonly SentencePipeline pipeline;

    public EmbeddingTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings)
    {
        (this.model, this.tokenizer, this.settings) = (model, tokenizer, settings);
        (padding, pipeline, promptTokens) =
            (InputBatch.Padding(model), EmbeddingKind.Pipeline(model, settings), new Lazy<int>(CountPromptTokens));
    }

    // Uses the length for which the model was made, unless the user sets another.
    private int MaxLength => !settings.IsMaxLengthGiven && pipeline.MaxLength is { } own ? own : settings.MaxLength;

    private string Prompt => (settings.Prompt ?? pipeline.DefaultPrompt) is not { } name ? ""
        : pipeline.Prompts.TryGetValue(name, out string? prompt) ? prompt
        : throw new InputException(
            $"{model.Folder} has no prompt \"{name}\"; it has " +
            $"{(pipeline.Prompts.Count == 0 ? "none" : string.Join(", ", pipeline.Prompts.Keys))}.");

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<Words>();
        var rows = new TextRows(model, tokenizer, MaxLength);
        return new TaskData(RowReader.Read(source, row => new[] { Example(rows, row, paired: true) }, notes),
            [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        EmbeddingExample[] pairs = [.. rows.Cast<EmbeddingExample>()];
        Tensor anchors = Direction(Embed([.. pairs.Select(pair => pair.Anchor)], dropout));
        Tensor partners =
            Direction(
                Embed([.. pairs.Select(pair => pair.Positive!), .. pairs.Select(pair => pair.Negative)
                .OfType<TextInput>()], dropout));
        if (board is RetrievalAccumulator results) results.Add(anchors, partners.narrow(0, 0, pairs.Length));
        Tensor scores = matmul(anchors, partners.t()) / Number(settings.Temperature);
        return nn.functional.cross_entropy(
            scores, Indices(0, pairs.Length, device: Network.Device), reduction: nn.Reduction.Sum)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new RetrievalAccumulator();

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null) =>
        Embed(source, batchSize, notes).Select(vector =>
            new JsonObject { ["embedding"] = new JsonArray([.. vector.Select(value => (JsonNode?)value)]) });

    /// <summary>The vector of each row's text, of the model's width.</summary>
    /// <param name="source">Its rows.</param>
    /// <param name="batchSize">Texts computed together.</param>
    /// <param name="notes">Gets what is to be told; null for nobody.</param>
    /// <param name="count">Hears how many tokens the texts have; null for nobody.</param>
    public IEnumerable<float[]> Embed(
        RowSource source, int batchSize, ICollection<Words>? notes = null, Action<long>? count = null)
    {
        var rows = new TextRows(model, tokenizer, MaxLength);
        List<EmbeddingExample> texts =
            RowReader.Read(source, row => new[] { Example(rows, row, paired: false) }, notes);
        foreach (Words warning in rows.Warnings) notes?.Add(warning);
        count?.Invoke(texts.Sum(text => (long)text.Tokens));
        return texts.Chunk(batchSize).SelectMany(batch =>
        {
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            TextInput[] read = [.. batch.Select(text => text.Anchor)];
            Tensor vectors = FiniteOutput.Require(Embed(read, null), Network, "embeddings", () => Embed(read, null));
            return vectors.cpu().contiguous().data<float>().ToArray().Chunk((int)vectors.shape[1]).ToList();
        });
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new("embedding")
    {
        Pooling = pipeline.Modes is [var only] ? SentenceFolder.NameOf(only) : null,
        MaxLength = MaxLength,
        Sentence = pipeline with { MaxLength = Math.Min(MaxLength, Network.MaxPositions) },
    };

    // Cosines are dot products of vectors of length 1.
    private static Tensor Direction(Tensor vectors) => nn.functional.normalize(vectors, 2, 1, 1e-12);

    /// <summary>Vectors, [texts, width].</summary>
    private Tensor Embed(IReadOnlyList<TextInput> texts, Generator? dropout)
    {
        ModelInput input = InputBatch.Create(texts, padding, Network.Device);
        return pipeline.Apply(model.Sequence.States(input, dropout), input.AttentionMask, promptTokens.Value);
    }

    // The number of tokens at the beginning of every text that come from the prompt, including those of the
    // post-processor before it.
    private int CountPromptTokens()
    {
        if (Prompt.Length == 0 || tokenizer is null) return 0;
        TokenEncoding alone = tokenizer.EncodeFull(Prompt);
        return alone.Ids.Length - (alone.SpecialTokens[^1] ? 1 : 0);
    }

    private EmbeddingExample Example(TextRows rows, Row row, bool paired)
    {
        var fields = new RowFields(row.Fields);
        if (TextRows.HoldsTokens(row))
        {
            TextInput first = rows.Tokens(fields, row);
            TextInput? second = paired
                ? rows.Tokens(fields, row, "positive_input_ids", "positive_attention_mask") : null;
            fields.ThrowIfWrong();
            return new EmbeddingExample(first, second, null, row.Place);
        }
        string text = fields.FilledText("text", "Expected the text to embed.");
        string? positive = paired ? fields.FilledText("positive", "Expected a text that belongs to it.") : null;
        string? negative = paired && row.Fields.ContainsKey("negative")
            ? fields.FilledText("negative", "Expected a text that does not; remove the key where there is none.")
            : null;
        fields.ThrowIfWrong();
        string prompt = Prompt;
        TextInput? Encode(string? one) => one is null ? null
            : TextRows.Input(rows.Encode(prompt + (pipeline.LowersCase ? one.ToLowerInvariant() : one), null));
        return new EmbeddingExample(Encode(text)!, Encode(positive), Encode(negative), row.Place);
    }
}

/// <summary>Two texts that belong together, and one that does not.</summary>
/// <param name="Anchor">The text.</param>
/// <param name="Positive">Its partner; null to embed only the text.</param>
/// <param name="Negative">A similar text that is not a partner; null to use only the other rows' partners.</param>
/// <param name="Place">The row it was made from.</param>
internal sealed record EmbeddingExample(TextInput Anchor, TextInput? Positive, TextInput? Negative, DataPlace? Place)
    : IExample
{
    /// <inheritdoc/>
    public int Length => Math.Max(Anchor.Length, Math.Max(Positive?.Length ?? 0, Negative?.Length ?? 0));

    /// <inheritdoc/>
    public int Tokens => Anchor.Tokens + (Positive?.Tokens ?? 0) + (Negative?.Tokens ?? 0);

    /// <inheritdoc/>
    public int PredictedLabels => Positive is null ? 0 : 1;
}

/// <summary>Collects embeddings and measures how well each text finds its partner among all of them.</summary>
internal sealed class RetrievalAccumulator : IMetricAccumulator
{
    private const long ScoresAtOnce = 1 << 22;
    private const double Tie = 1e-9; // partners with the same text differ only by rounding

    private readonly List<float[]> anchors = [];
    private readonly List<float[]> partners = [];

    public void Add(Tensor texts, Tensor positives)
    {
        anchors.AddRange(Rows(texts));
        partners.AddRange(Rows(positives));
    }

    public IReadOnlyDictionary<string, double?> Metrics()
    {
        if (anchors.Count == 0) return new Dictionary<string, double?>();
        using var scope = NewDisposeScope();
        Tensor all = Matrix(partners);
        double first = 0, reciprocal = 0;
        int row = 0;
        foreach (float[][] some in anchors.Chunk((int)Math.Max(1, ScoresAtOnce / partners.Count)))
        {
            foreach (long rank in Ranks(Matrix(some), all, row))
            {
                first += rank == 1 ? 1 : 0;
                reciprocal += 1.0 / rank;
            }
            row += some.Length;
        }
        return new Dictionary<string, double?> { ["recall_at_1"] = first / anchors.Count,
            ["mean_reciprocal_rank"] = reciprocal / anchors.Count };
    }

    // The rank of each text's own partner among all, from 1; ties share the better rank.
    private static long[] Ranks(Tensor texts, Tensor all, int begin)
    {
        using var scope = NewDisposeScope();
        Tensor scores = texts.matmul(all.t()); // [texts, partners]
        Tensor own = scores.gather(1, Indices(begin, begin + texts.shape[0]).unsqueeze(1));
        return (scores > own.Plus(Tie)).sum(1).Plus(1).data<long>().ToArray();
    }

    private static Tensor Matrix(IReadOnlyList<float[]> rows) =>
        tensor(rows.SelectMany(row => row).ToArray()).view(rows.Count, -1).to(ScalarType.Float64);

    private static IEnumerable<float[]> Rows(Tensor vectors) =>
        vectors.detach().cpu().contiguous().data<float>().ToArray().Chunk((int)vectors.shape[1]);
}
