using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Tasks;
using LowRank.Tests.Kernels;
using LowRank.Tests.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>Blocks that are computed again in the backward pass give the gradients of blocks that are kept, to the last
/// bit.</summary>
[Collection("alone")]
public sealed class GradientCheckpointingTests
{
    private const string Gemma = """
        {"model_type": "gemma2", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 4, "max_position_embeddings": 64, "sliding_window": 4, "query_pre_attn_scalar": 4}
        """;

    public static TheoryData<string, bool, double> Cases => new()
    {
        { TinyModel.Llama, true, 0 }, { TinyModel.Llama, true, 0.3 }, { TinyModel.Llama, false, 0.3 },
            { Gemma, true, 0.2 }, { Gemma, false, 0 },
        { TinyModel.Gpt2.Replace("pdrop\": 0", "pdrop\": 0.2", StringComparison.Ordinal)
            .Replace("\"n_layer\": 2", "\"n_layer\": 5", StringComparison.Ordinal), true, 0.1 },
        { TinyModel.Gpt2.Replace("pdrop\": 0", "pdrop\": 0.2", StringComparison.Ordinal), false, 0 },
    };

    [Theory, MemberData(nameof(Cases))]
    public void Gradients_are_the_same_to_the_last_bit(string config, bool packing, double dropout)
    {
        using var tiny = new TinyModel(config);
        using Adapter adapter = Attached(tiny.Model, dropout, "lora");
        IObjective objective = new CausalObjective(tiny.Model.Decoder, new RowBatching { Packing = packing });
        AssertSame(objective, new TrainedAdapter(adapter).Weights, Rows(5));
    }

    [Theory]
    [InlineData("dora")]
    [InlineData("all of it")]
    public void Other_methods_have_the_same_gradients_too(string method)
    {
        using var tiny = new TinyModel();
        CausalObjective objective = new(tiny.Model.Decoder);
        if (method == "all of it")
        {
            foreach (Tensor weight in tiny.Model.Decoder.Parameters.Values) weight.requires_grad = true;
            AssertSame(objective, [.. tiny.Model.Decoder.Parameters], Rows(5));
            return;
        }
        using Adapter adapter = Attached(tiny.Model, 0.2, method);
        AssertSame(objective, new TrainedAdapter(adapter).Weights, Rows(5));
    }

    [Fact]
    public void The_generator_goes_on_as_if_nothing_had_been_computed_again()
    {
        using var tiny = new TinyModel();
        using Adapter adapter = Attached(tiny.Model, 0.3, "lora");
        var trained = new TrainedAdapter(adapter);
        double[][] losses = [.. new[] { false, true }.Select(checkpointing =>
        {
            using var runner =
                new StepRunner(
                    new CausalObjective(tiny.Model.Decoder), trained,
                    new TrainerOptions { Seed = 5, GradientCheckpointing = checkpointing });
            var step = new StepBatches(
                [Rows(2), Rows(3)], Rows(2).Concat(Rows(3)).Sum(row => (long)row.PredictedLabels));
            // a rate of 0 leaves the weights
            return (double[])[.. Enumerable.Range(1, 3).Select(number => runner.Run(step, 0, number).Loss)];
        })];
        Assert.Equal(losses[0], losses[1]);
        Assert.NotEqual(losses[0][0], losses[0][1]);
    }

    [Fact]
    public void Tensors_do_not_grow_with_steps()
    {
        using var tiny = new TinyModel();
        using Adapter adapter = Attached(tiny.Model, 0.3, "lora");
        using var runner =
            new StepRunner(
                new CausalObjective(tiny.Model.Decoder), new TrainedAdapter(adapter),
                new TrainerOptions { GradientCheckpointing = true });
        var step = new StepBatches([Rows(4)], Rows(4).Sum(row => (long)row.PredictedLabels));
        for (int i = 1; i <= 5; i++) runner.Run(step, 1e-3, i);
        long before = Tensor.TotalCount;
        for (int i = 6; i <= 25; i++) runner.Run(step, 1e-3, i);
        Assert.InRange(Tensor.TotalCount, 1, before); // those of other tests may be finalised meanwhile
    }

    // The lowest block's input takes no gradient; blocks below it have no graph.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void The_lowest_adapted_block_is_computed_again_too(int lowest)
    {
        using var tiny = new TinyModel();
        using Adapter adapter = Adapter.Create(tiny.Model, new LoraConfig
        {
            Rank = 2, Alpha = 4, Dropout = 0.3, TargetModules = ModuleSelection.Create(["q_proj", "up_proj"]),
                LayersToTransform = LayerSelection.Create(lowest), InitLoraWeights = InitialWeights.False,
        }, 1);
        adapter.Attach();
        var objective = new CausalObjective(tiny.Model.Decoder);
        AssertSame(objective, new TrainedAdapter(adapter).Weights, Rows(5));
        var passes = new PassCounter();
        foreach (Linear layer in tiny.Model.Network.LinearLayers.Where(
            layer => layer.Path.EndsWith("up_proj", StringComparison.Ordinal)))
            layer.Slot.Attach(passes);
        using var scope = NewDisposeScope();
        objective.Sum(Rows(5), null).backward();
        Assert.Equal(2 + 2 - lowest, passes.Count); // two blocks, of which those that go backward are computed twice
    }

    [Fact]
    public void A_feed_forward_of_another_assembly_may_read_a_layers_output()
    {
        using var scope = NewDisposeScope();
        Linear up = Linear.From("up", Rounding.Draw(1, 16, 8), null),
            down = Linear.From("down", Rounding.Draw(2, 8, 16), null);
        Tensor factor = Rounding.Draw(3, 8).requires_grad_();
        var block = new PreNormBlock(
            null, new Unchanged(), new Unchanged(), new Scaled(new PlainFeedForward(up, down, "gelu"), factor), 0);
        float[][] Gradients(bool checkpoints)
        {
            Tensor x = Rounding.Draw(4, 2, 20, 8).requires_grad_();
            factor.grad = null;
            using var context = ForwardContext.Create(
                zeros(2, 20, ScalarType.Int64), null, null, null, null, null);
            BlockPass.Run([block], x, context, checkpoints).backward([Rounding.Draw(5, 2, 20, 8)]);
            return [x.grad!.data<float>().ToArray(), factor.grad!.data<float>().ToArray()];
        }
        Assert.Equal(Gradients(checkpoints: false), Gradients(checkpoints: true));
    }

    [Fact]
    public void A_prompt_is_refused()
    {
        using var tiny = new TinyModel();
        tiny.Model.Decoder.GradientCheckpointing = true;
        tiny.Model.Decoder.Prompt = new NoPrompt();
        using var scope = NewDisposeScope();
        Assert.Contains(
            "does not go with prompt and prefix tuning",
            Assert.Throws<InputException>(() => tiny.Model.Decoder.Hidden(TinyModel.Ids(1, 2))).Message);
        using var noGradient = no_grad();
        Assert.NotNull(tiny.Model.Decoder.Hidden(TinyModel.Ids(1, 2)));
    }

    private static void AssertSame(
        IObjective objective, IReadOnlyList<KeyValuePair<string, Tensor>> weights, IReadOnlyList<IExample> rows)
    {
        (float Loss, float[][] Gradients) Of(bool checkpointing)
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(11);
            objective.Network.GradientCheckpointing = checkpointing;
            foreach (KeyValuePair<string, Tensor> weight in weights) weight.Value.grad = null;
            Tensor sum = objective.Sum(rows, generator);
            sum.backward();
            return (sum.item<float>(), [.. weights.Select(weight => weight.Value.grad!.data<float>().ToArray())]);
        }
        (float loss, float[][] gradients) = Of(false);
        (float again, float[][] found) = Of(true);
        Assert.Equal(loss, again);
        Assert.Contains(gradients, gradient => gradient.Any(value => value != 0));
        for (int i = 0; i < gradients.Length; i++) Assert.Equal(gradients[i], found[i]);
    }

    private static Adapter Attached(PretrainedModel model, double dropout, string method)
    {
        Adapter adapter = Adapter.Create(model, new LoraConfig
        {
            Rank = 2, Alpha = 4, Dropout = dropout, UseDora = method == "dora",
                TargetModules = ModuleSelection.AllLinear, InitLoraWeights = InitialWeights.False,
        }, 1);
        adapter.Attach();
        return adapter;
    }

    private static IReadOnlyList<IExample> Rows(int count) => [.. Enumerable.Range(0, count).Select(row =>
    {
        int[] ids = [.. Enumerable.Range(0, 6 + row).Select(i => (i * (row + 3) + 5) % 31)];
        return new TokenizedExample(ids, ids);
    })];

    private sealed class PassCounter : ISlotAdapter
    {
        public int Count { get; private set; }

        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
        {
            Count++;
            return inner.Forward(input);
        }
    }

    private sealed class Scaled(IFeedForward inner, Tensor factor) : IFeedForward
    {
        public IEnumerable<Linear> LinearLayers => inner.LinearLayers;

        public Tensor Forward(Tensor input, ForwardContext context) => inner.Forward(input, context) * factor;
    }

    private sealed class Unchanged : IAttention, INormalization
    {
        public IEnumerable<Linear> LinearLayers => [];

        public Tensor Forward(Tensor input, ForwardContext context) => input;

        public Tensor Forward(Tensor input) => input;
    }

    private sealed class NoPrompt : IPrompt
    {
        public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [];

        public int Length => 0;

        public IReadOnlyList<(Tensor Keys, Tensor Values)> States(Decoder model, Generator? dropout) =>
            [.. Enumerable.Range(0, 2).Select(_ => (zeros(1, 2, 0, 4), zeros(1, 2, 0, 4)))];
    }
}
