using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Data.Forms;
using LowRank.Models;
using LowRank.Models.Sentences;
using LowRank.Tokenization;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks.TextEmbedding;

/// <summary>Text embedding on a model: for each text the cross-entropy of its partner among all partners and negatives of
/// the micro-batch, by cosine over temperature (InfoNCE, arXiv 1807.03748; in-batch negatives, arXiv 1705.00652).</summary>
/// <remarks>The loss grows with the batch: compare losses of one batch size only.</remarks>
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
        (padding, pipeline, promptTokens) = (InputBatch.Padding(model), EmbeddingKind.Pipeline(model, settings), new Lazy<int>(CountPromptTokens));
    }

    // Unless the user says another, the length that the model was made for.
    private int MaxLength => !settings.IsMaxLengthGiven && pipeline.MaxLength is { } own ? own : settings.MaxLength;

    private string Prompt => (settings.Prompt ?? pipeline.DefaultPrompt) is not { } name ? "" : pipeline.Prompts.TryGetValue(name, out string? prompt) ? prompt
        : throw new InputException($"{model.Folder} has no prompt \"{name}\"; it has {(pipeline.Prompts.Count == 0 ? "none" : string.Join(", ", pipeline.Prompts.Keys))}.");

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<string>();
        var rows = new TextRows(model, tokenizer, MaxLength);
        return new TaskData(RowReader.Read(source, sample => new[] { Example(rows, sample, paired: true) }, notes), [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IScoreBoard? board = null)
    {
        using var scope = NewDisposeScope();
        EmbeddingExample[] pairs = [.. rows.Cast<EmbeddingExample>()];
        Tensor anchors = Direction(Embed([.. pairs.Select(pair => pair.Anchor)], dropout));
        Tensor partners = Direction(Embed([.. pairs.Select(pair => pair.Positive!), .. pairs.Select(pair => pair.Negative).OfType<TextInput>()], dropout));
        if (board is RetrievalBoard results) results.Add(anchors, partners.narrow(0, 0, pairs.Length));
        Tensor scores = matmul(anchors, partners.t()) / settings.Temperature;
        return nn.functional.cross_entropy(scores, arange(pairs.Length, ScalarType.Int64, Network.Device), reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IScoreBoard NewBoard() => new RetrievalBoard();

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<string>? notes = null)
    {
        var rows = new TextRows(model, tokenizer, MaxLength);
        List<EmbeddingExample> texts = RowReader.Read(source, sample => new[] { Example(rows, sample, paired: false) }, notes);
        foreach (string warning in rows.Warnings) notes?.Add(warning);
        return texts.Chunk(batchSize).SelectMany(batch =>
        {
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            TextInput[] read = [.. batch.Select(text => text.Anchor)];
            Tensor vectors = FiniteOutput.Require(Embed(read, null), Network, "embeddings", () => Embed(read, null));
            return vectors.cpu().contiguous().data<float>().ToArray().Chunk((int)vectors.shape[1])
                .Select(vector => new JsonObject { ["embedding"] = new JsonArray([.. vector.Select(value => (JsonNode?)value)]) }).ToList();
        });
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new("embedding")
    {
        Pooling = pipeline.Modes is [var only] ? SentenceFolder.NameOf(only) : null,
        MaxLength = MaxLength,
        Sentence = pipeline with { MaxLength = Math.Min(MaxLength, Network.MaxPositions) },
    };

    // Cosines are products of vectors of length 1.
    private static Tensor Direction(Tensor vectors) => nn.functional.normalize(vectors, 2, 1, 1e-12);

    /// <summary>Vectors, [texts, width].</summary>
    private Tensor Embed(IReadOnlyList<TextInput> texts, Generator? dropout)
    {
        ModelInput input = InputBatch.Create(texts, padding, Network.Device);
        return pipeline.Apply(model.Sequence.States(input, dropout), input.AttentionMask, promptTokens.Value);
    }

    // Tokens at the beginning of every text that the prompt makes, those of the post-processor before it included.
    private int CountPromptTokens()
    {
        if (Prompt.Length == 0 || tokenizer is null) return 0;
        TokenEncoding alone = tokenizer.EncodeFull(Prompt);
        return alone.Ids.Length - (alone.SpecialTokens[^1] ? 1 : 0);
    }

    private EmbeddingExample Example(TextRows rows, Sample sample, bool paired)
    {
        var fields = new RowFields(sample.Row);
        if (TextRows.HoldsTokens(sample))
        {
            TextInput first = rows.Tokens(fields, sample);
            TextInput? second = paired ? rows.Tokens(fields, sample, "positive_input_ids", "positive_attention_mask") : null;
            fields.ThrowIfWrong();
            return new EmbeddingExample(first, second, null, sample.Place);
        }
        string text = fields.FilledText("text", "Expected the text to embed.");
        string? positive = paired ? fields.FilledText("positive", "Expected a text that belongs to it.") : null;
        string? negative = paired && sample.Row.ContainsKey("negative") ? fields.FilledText("negative", "Expected a text that does not; remove the key where there is none.") : null;
        fields.ThrowIfWrong();
        string prompt = Prompt;
        TextInput? Encode(string? one) => one is null ? null : TextRows.Input(rows.Encode(prompt + (pipeline.LowersCase ? one.ToLowerInvariant() : one), null));
        return new EmbeddingExample(Encode(text)!, Encode(positive), Encode(negative), sample.Place);
    }
}
