using System.Runtime.InteropServices;
using LLama;
using LLama.Common;
using LLama.Native;
using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.Models;
using LowRank.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>A .NET program opens models and adapters of ours with LLamaSharp, which is llama.cpp: the log probabilities
/// of all tokens at every position, and the tokens that are the likeliest one after another.</summary>
/// <remarks>Its native libraries come as a package, so that this runs where <see cref="LlamaCppTests"/> cannot.
/// </remarks>
public sealed class LLamaSharpTests
{
    // float32, and the table from which llama.cpp takes gelu.
    private const double Exact = 1e-4, OfTable = 3e-3;

    private static readonly int[] Prompt = [1, 17, 200, 33, 5, 90, 4, 4, 9];

    static LLamaSharpTests() =>
        NativeLibraryConfig.All.WithAvx(AvxLevel.Avx2).WithLogCallback((_, _) => { });

    [Theory, InlineData("llama", Exact), InlineData("qwen2", Exact), InlineData("qwen3", Exact),
        InlineData("phi3", Exact), InlineData("gpt2", OfTable)]
    public void A_model_and_its_adapter_give_the_same_log_probabilities_and_texts(string family, double tolerance)
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "the library is that of x64");
        using var folder = new TemporaryFolder();
        using var golden = new Golden(family);
        GgufModel.Write(LlamaCppTests.WithTokenizer(golden.Folder, folder["model"]), folder["model.gguf"], "f32");
        string pairs = Path.Combine(golden.Folder, "trained");
        using (NewDisposeScope())
            GgufAdapter.FromPeft(LoraFolder.Load(pairs), pairs, golden.Folder, folder["adapter.gguf"]);

        using LLamaWeights weights = LLamaWeights.LoadFromFile(Parameters(folder["model.gguf"]));
        using LLamaContext context = weights.CreateContext(Parameters(folder["model.gguf"]));
        LoraAdapter lora = weights.NativeHandle.LoadLoraFromFile(folder["adapter.gguf"]);
        Compare(context, golden.Model, tolerance);
        float[] plain = LogProbabilities(context, Prompt);
        foreach (float scale in (float[])[1, 0.5f, -1])
        {
            context.NativeHandle.SetLoraAdapters([(lora, scale)]);
            using Adapter adapter = Adapter.Load(pairs, golden.Model);
            adapter.Weight = scale;
            adapter.Attach();
            Compare(context, golden.Model, tolerance);
            adapter.Detach();
            Assert.True(LogProbabilities(context, Prompt).Zip(plain).Max(pair => Math.Abs(pair.First - pair.Second))
                > 10 * tolerance, "the adapter changes nothing, so that nothing is compared");
        }
    }

    // Without these two types, keys and values are rounded to 16 bits.
    private static ModelParams Parameters(string file) => new(file)
    {
        ContextSize = 64, GpuLayerCount = 0, Threads = 1, BatchThreads = 1, FlashAttention = false,
        TypeK = GGMLType.GGML_TYPE_F32, TypeV = GGMLType.GGML_TYPE_F32,
    };

    private static void Compare(LLamaContext context, PretrainedModel model, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        int size = model.Network.VocabularySize;
        List<int> tokens = [.. Prompt.Select(id => id % size)];
        Tensor expected = nn.functional.log_softmax(Logits(model, tokens), -1);
        Tensor found = tensor(LogProbabilities(context, tokens)).view(tokens.Count, size);
        Assert.InRange((found - expected).abs().max().item<float>(), 0, tolerance);
        for (int step = 0; step < 8; step++)
        {
            Tensor ours = nn.functional.log_softmax(Logits(model, tokens)[-1], -1);
            Tensor theirs = tensor(LogProbabilities(context, tokens)).view(tokens.Count, size)[-1];
            int next = (int)theirs.argmax().item<long>();
            // Where two tokens are equally likely, either may come first.
            Assert.InRange((ours.max() - ours[next]).item<float>(), 0, 2 * tolerance);
            tokens.Add(next);
        }
    }

    private static Tensor Logits(PretrainedModel model, IReadOnlyList<int> tokens) =>
        model.Decoder.Forward(tensor(tokens.Select(id => (long)id).ToArray()).view(1, -1))[0];

    // At every position, one after another.
    private static float[] LogProbabilities(LLamaContext context, IReadOnlyList<int> tokens)
    {
        context.NativeHandle.MemoryClear();
        var batch = new LLamaBatch();
        foreach ((int position, int id) in tokens.Index()) batch.Add(id, position, LLamaSeqId.Zero, true);
        Assert.Equal(DecodeResult.Ok, context.Decode(batch));
        return [.. Enumerable.Range(0, tokens.Count).SelectMany(position =>
        {
            double[] logits = [.. context.NativeHandle.GetLogitsIth(position).ToArray().Select(value => (double)value)];
            double most = logits.Max(), sum = most + Math.Log(logits.Sum(value => Math.Exp(value - most)));
            return logits.Select(value => (float)(value - sum));
        })];
    }
}
