using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Tests.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

/// <summary>Steps of generation take the kernels of their own, and give what whole passes through torch's operations
/// give.</summary>
public sealed class GenerationStepTests
{
    private const string Gpt2 = """
        {"model_type": "gpt2", "vocab_size": 61, "n_embd": 48, "n_layer": 2, "n_head": 3, "n_positions": 40, "initializer_range": 0.2,
         "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0}
        """;

    private const string Llama = """
        {"model_type": "llama", "vocab_size": 61, "hidden_size": 48, "intermediate_size": 70, "num_hidden_layers": 2, "initializer_range": 0.2,
         "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 10, "max_position_embeddings": 64, "tie_word_embeddings": false}
        """;

    private const string Gemma2 = """
        {"model_type": "gemma2", "vocab_size": 61, "hidden_size": 48, "intermediate_size": 70, "num_hidden_layers": 4, "initializer_range": 0.2,
         "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 12, "max_position_embeddings": 64, "sliding_window": 6,
         "query_pre_attn_scalar": 16, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0}
        """;

    [Theory]
    [InlineData(Gpt2, false), InlineData(Gpt2, true), InlineData(Llama, false), InlineData(Llama, true),
        InlineData(Gemma2, false), InlineData(Gemma2, true)]
    public void Steps_are_rows_of_whole_passes(string config, bool adapted)
    {
        using var tiny = new TinyModel(config);
        using Adapter? adapter = adapted
            ? Adapter.Create(
                tiny.Model, new LoraConfig { Rank = 3, Alpha = 7, TargetModules = ModuleSelection.AllLinear,
                InitLoraWeights = InitialWeights.False }, 2)
            : null;
        adapter?.Attach();
        Decoder model = tiny.Model.Decoder;
        using var scope = NewDisposeScope();
        // Rows of 9, 4 and 1 tokens, padded on the left, then twenty steps.
        const int prompt = 9, steps = 20;
        int[] padding = [0, 5, 8];
        Tensor ids = randint(1, 61, [3, prompt + steps], dtype: ScalarType.Int64, generator: new Generator(5));
        Tensor mask = ones(3, prompt + steps, ScalarType.Int64);
        for (int row = 0; row < 3; row++) mask[row].narrow(0, 0, padding[row]).zero_();
        Tensor whole = model.Forward(ids, mask); // autograd is on: no kernels
        using var noGradient = no_grad();
        using var cache = new KeyValueCache(model.Shape, 3, prompt + steps, model.Device);
        model.Forward(ids.narrow(1, 0, prompt), mask.narrow(1, 0, prompt), cache);
        double largest = whole.abs().max().item<float>();
        for (int step = prompt; step < prompt + steps; step++)
        {
            Tensor logits = model.Forward(ids.narrow(1, step, 1), null, cache);
            // The rounding of a pass relative to its logits, some tens of roundings in the sums of each layer.
            Assert.InRange(
                (logits.select(1, 0) - whole.select(1, step)).abs().max().item<float>() / largest, 0,
                500 * Rounding.Unit);
        }
    }

    [Fact]
    public void A_step_makes_few_tensors()
    {
        // By torch's operations alone a step of this model makes more than 200.
        using var tiny = new TinyModel(Llama);
        Decoder model = tiny.Model.Decoder;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var cache = new KeyValueCache(model.Shape, 2, 8, model.Device);
        Tensor token = tensor(new long[] { 3, 4 }).view(2, 1);
        model.Forward(token, null, cache).Dispose();
        DisposeScopeManager.Statistics.Reset();
        model.Forward(token, null, cache).Dispose();
        Assert.InRange(
            DisposeScopeManager.Statistics.CreatedInScopeCount
            + DisposeScopeManager.Statistics.CreatedOutsideScopeCount, 1, 80);
    }

    [Theory]
    [InlineData(Gpt2), InlineData(Llama)]
    public void Layers_take_the_kernel_of_few_rows_and_add_adapters_in_place(string config)
    {
        using var tiny = new TinyModel(config);
        using Adapter adapter =
            Adapter.Create(
                tiny.Model, new LoraConfig { Rank = 3, TargetModules = ModuleSelection.AllLinear,
                InitLoraWeights = InitialWeights.False }, 2);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (LowRank.Models.Layers.Linear layer in tiny.Model.Decoder.LinearLayers)
        {
            Tensor x = Rounding.Draw(7, 4, 1, layer.InputSize);
            Assert.Equal(Copy(LinearProduct.TryLinear(x, layer.Weight, layer.StoresTransposed, layer.Bias)!),
                Copy(layer.Forward(x, null)));
            adapter.Attach();
            long before = DisposeScopeManager.Statistics.CreatedInScopeCount;
            Tensor adapted = layer.Forward(x, null);
            // torch's way makes its products besides
            Assert.InRange(DisposeScopeManager.Statistics.CreatedInScopeCount - before, 1, 4);
            adapter.Detach();
            Tensor expected = layer.Forward(x, null);
            var lora = (LowRank.Adapters.LoraLayer)adapter.Layers[layer.Path];
            Assert.True(LowRankSum.TryAdd(expected, x, lora.A, lora.B, lora.Scale * lora.Weight));
            Assert.Equal(Copy(expected), Copy(adapted));
        }
    }

    private static float[] Copy(Tensor tensor) => tensor.data<float>().ToArray();
}
