using System.Runtime.InteropServices;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Tests.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>What goes wrong while torch goes backward through functions of ours reaches the caller; left alone, it ends
/// the process.</summary>
[Collection("alone")]
public sealed class BackwardErrorTests
{
    [Fact]
    public void An_exception_of_a_block_that_is_computed_again_reaches_who_runs_the_step()
    {
        using var tiny = new TinyModel();
        using Tensor weight = ones(4).requires_grad_();
        var failing = new FailingBlock(_ => throw new InvalidOperationException("no second pass"));
        using var runner =
            new StepRunner(new BlockObjective(tiny.Model.Decoder, weight, failing), new OneWeight(weight),
            new TrainerOptions { GradientCheckpointing = true });
        var row = new TokenizedExample([1, 2], [1, 2]);
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(
            () => runner.Run(new StepBatches([[row]], 1), 1e-3, 1));
        Assert.Equal("no second pass", error.Message);
        // as it was thrown, and not only here
        Assert.Contains(nameof(FailingBlock), error.StackTrace, StringComparison.Ordinal);
        // the block fails once
        Assert.True(float.IsFinite((float)runner.Run(new StepBatches([[row]], 1), 1e-3, 2).Loss));
    }

    // Its input takes no gradient: torch accepts one of no numbers for the single number that stands in.
    [Fact]
    public void An_exception_of_the_lowest_block_reaches_it_too()
    {
        using var tiny = new TinyModel();
        using Tensor weight = ones(4).requires_grad_();
        var failing = new FailingBlock(_ => throw new InvalidOperationException("no second pass")) { Weight = weight };
        using Tensor sum = Through(ones(1, 2, 4), failing).sum();
        Assert.Equal("no second pass",
            Assert.Throws<InvalidOperationException>(() => BackwardErrors.Run(() => sum.backward())).Message);
        Assert.Null(weight.grad);
    }

    [Fact]
    public void An_error_of_torch_reaches_the_caller_too()
    {
        using var tiny = new TinyModel();
        using var scope = NewDisposeScope();
        Tensor input = ones(1, 2, 4).requires_grad_();
        Tensor sum = Through(input, new FailingBlock(states => states.Plus(ones(3)))).sum();
        ExternalException error = Assert.Throws<ExternalException>(() => BackwardErrors.Run(() => sum.backward()));
        Assert.Contains("must match the size", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_lost_where_torch_is_called_without_us()
    {
        using var tiny = new TinyModel();
        using var scope = NewDisposeScope();
        Tensor input = ones(1, 2, 4).requires_grad_();
        Tensor sum = Through(input, new FailingBlock(_ => throw new InvalidOperationException("no second pass"))).sum();
        Assert.Throws<ExternalException>(() => sum.backward());
        Assert.Null(input.grad);
    }

    [Fact]
    public void A_block_inside_a_block_hands_its_error_through()
    {
        using var tiny = new TinyModel();
        using var scope = NewDisposeScope();
        Tensor input = ones(1, 2, 4).requires_grad_();
        var outer = new FailingBlock(_ => throw new InvalidOperationException("never"), passes: int.MaxValue);
        outer.Inner = new FailingBlock(_ => throw new InvalidOperationException("inside"), passes: 2);
        Tensor sum = Through(input, outer).sum();
        Assert.Equal("inside",
            Assert.Throws<InvalidOperationException>(() => BackwardErrors.Run(() => sum.backward())).Message);
    }

    [Fact]
    public void Attention_whose_projection_cannot_be_taken_apart_again_says_so()
    {
        using var scope = NewDisposeScope();
        Tensor fused = ones(1, 5, 3 * 2 * 8).requires_grad_();
        var (split, calls) = (FusedLayout.Stacked(2, 8), 0);
        var arguments = new AttentionTiles(
            AttentionSequences.OfRows(1, 5, 5), 0.3, TiledAttention.Anywhere, 0,
            whole => calls++ == 0 ? split(whole) : throw new InvalidOperationException("no parts"));
        Tensor sum = TiledAttentionStep.Attend(fused, null, null, arguments).sum();
        Assert.Equal("no parts",
            Assert.Throws<InvalidOperationException>(() => BackwardErrors.Run(() => sum.backward())).Message);
        Assert.Null(fused.grad);
    }

    private static Tensor Through(Tensor input, IBlock block) =>
        BlockPass.Run(
            [block], input, ForwardContext.Create(TinyModel.Ids(1, 2), null, null, null, null, null),
            checkpoints: true);

    /// <summary>x·2, but for one pass.</summary>
    private sealed class FailingBlock(Func<Tensor, Tensor> failure, int passes = 1) : IBlock
    {
        private int done;

        public IBlock? Inner { get; set; }

        public Tensor? Weight { get; init; }

        public IEnumerable<Linear> LinearLayers => [];

        public Tensor Forward(Tensor input, ForwardContext context)
        {
            if (done++ == passes) return failure(input);
            if (Weight is not null) return input * Weight;
            return Inner is null ? input * Number(2) : BlockCheckpoint.Apply(Inner, input, context, false);
        }
    }

    private sealed class BlockObjective(INetwork network, Tensor weight, IBlock block) : IObjective
    {
        public INetwork Network => network;

        public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null) =>
            Through(ones(1, 2, 4) * weight, block).sum();

        public IMetricAccumulator? NewBoard() => null;
    }

    private sealed class OneWeight(Tensor weight) : ITrainedWeights
    {
        public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create("weight", weight)];

        public string FolderName => "weight";

        public void Save(string folder) => throw new NotSupportedException("a test of one step");
    }
}
