using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tokenization;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks.QuestionAnswering;

/// <summary>Question answering on a model: the mean of the cross-entropies of the answer's first and last token over all
/// tokens of a window.</summary>
internal sealed class QuestionAnsweringTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) : ITask
{
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<string>();
        var rows = new TextRows(model, tokenizer, settings.MaxLength);
        var reader = new QuestionReader(rows, settings.Stride);
        return new TaskData(RowReader.Read(source, sample => reader.Read(sample, labelled: true), notes), [.. notes, .. rows.Warnings]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IScoreBoard? board = null)
    {
        using var scope = NewDisposeScope();
        AnswerWindow[] windows = [.. rows.Cast<AnswerWindow>()];
        (Tensor starts, Tensor ends) = Scores(windows, dropout);
        if (board is AnswerBoard results) results.Add(windows, Rows(starts), Rows(ends));
        Tensor Loss(Tensor scores, IEnumerable<int?> places) => nn.functional.cross_entropy(scores,
            tensor(places.Select(place => (long)place!.Value).ToArray(), device: Network.Device), reduction: nn.Reduction.Sum);
        return ((Loss(starts, windows.Select(w => w.Start)) + Loss(ends, windows.Select(w => w.End))) / 2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IScoreBoard NewBoard() => new AnswerBoard(settings.MaxAnswerTokens);

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(IReadOnlyList<string> files, int batchSize)
    {
        var reader = new QuestionReader(new TextRows(model, tokenizer, settings.MaxLength), settings.Stride);
        List<AnswerWindow> windows = RowReader.Read(files, sample => reader.Read(sample, labelled: false));
        var board = new AnswerBoard(settings.MaxAnswerTokens);
        foreach (AnswerWindow[] batch in windows.Chunk(batchSize))
        {
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            (Tensor starts, Tensor ends) = Scores(batch, null);
            board.Add(batch, Rows(starts), Rows(ends));
        }
        return board.Answers().Select(answer => new JsonObject
        {
            ["answer"] = answer.Text,
            ["probability"] = answer.Probability,
            ["start"] = answer.Start,
            ["end"] = answer.End,
        });
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new("question_answering") { MaxLength = settings.MaxLength, Stride = settings.Stride };

    private (Tensor Starts, Tensor Ends) Scores(AnswerWindow[] windows, Generator? dropout)
    {
        ModelInput input = InputBatch.Create([.. windows.Select(window => window.Input)], padding, Network.Device);
        Tensor scores = model.Sequence.Scores(input, dropout); // [batch, sequence, 2]
        return (scores.select(2, 0), scores.select(2, 1));
    }

    private static float[][] Rows(Tensor scores) => [.. scores.detach().cpu().contiguous().data<float>().ToArray().Chunk((int)scores.shape[1])];
}
