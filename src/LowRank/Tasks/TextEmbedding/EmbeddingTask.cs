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

namespace LowRank.Tasks.TextEmbedding;

/// <summary>Text embedding on a model: for each text the cross-entropy of its partner among all partners and negatives of
/// the micro-batch, by cosine over temperature (InfoNCE, arXiv 1807.03748; in-batch negatives, arXiv 1705.00652).</summary>
/// <remarks>The loss grows with the batch: compare losses of one batch size only.</remarks>
internal sealed class EmbeddingTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) : ITask
{
    private readonly int padding = InputBatch.Padding(model);
    private readonly Pooling pooling = settings.Pooling == "cls" ? Pooling.First : Pooling.Mean;

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<string>();
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        return new TaskData(RowReader.Read(source, sample => new[] { Example(rows, sample, paired: true) }, notes), [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IScoreBoard? board = null)
    {
        using var scope = NewDisposeScope();
        EmbeddingExample[] pairs = [.. rows.Cast<EmbeddingExample>()];
        Tensor anchors = Embed([.. pairs.Select(pair => pair.Anchor)], dropout);
        Tensor partners = Embed([.. pairs.Select(pair => pair.Positive!), .. pairs.Select(pair => pair.Negative).OfType<TextInput>()], dropout);
        if (board is RetrievalBoard results) results.Add(anchors, partners.narrow(0, 0, pairs.Length));
        Tensor scores = matmul(anchors, partners.t()) / settings.Temperature;
        return nn.functional.cross_entropy(scores, arange(pairs.Length, ScalarType.Int64, Network.Device), reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IScoreBoard NewBoard() => new RetrievalBoard();

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<string>? notes = null)
    {
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        List<EmbeddingExample> texts = RowReader.Read(source, sample => new[] { Example(rows, sample, paired: false) }, notes);
        foreach (string warning in rows.Warnings) notes?.Add(warning);
        return texts.Chunk(batchSize).SelectMany(batch =>
        {
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            Tensor vectors = Embed([.. batch.Select(text => text.Anchor)], null);
            return vectors.cpu().contiguous().data<float>().ToArray().Chunk((int)vectors.shape[1])
                .Select(vector => new JsonObject { ["embedding"] = new JsonArray([.. vector.Select(value => (JsonNode?)value)]) }).ToList();
        });
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new("embedding") { Pooling = settings.Pooling, MaxLength = settings.MaxLength };

    /// <summary>Vectors of length 1, [texts, hidden].</summary>
    private Tensor Embed(IReadOnlyList<TextInput> texts, Generator? dropout)
    {
        ModelInput input = InputBatch.Create(texts, padding, Network.Device);
        Tensor pooled = NetworkOutput.Pool(model.Sequence.States(input, dropout), input.AttentionMask, pooling);
        return nn.functional.normalize(pooled, 2, 1, 1e-12);
    }

    private static EmbeddingExample Example(TextRows rows, Sample sample, bool paired)
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
        TextInput? Encode(string? one) => one is null ? null : TextRows.Input(rows.Encode(one, null));
        return new EmbeddingExample(Encode(text)!, Encode(positive), Encode(negative), sample.Place);
    }
}
