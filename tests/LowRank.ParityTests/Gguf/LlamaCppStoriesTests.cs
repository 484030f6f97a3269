using System.Runtime.CompilerServices;
using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.IO.Gguf;
using LowRank.Models;
using LowRank.Models.Gguf;
using LowRank.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>A trained checkpoint in llama.cpp: what is right, and what goes wrong without a word where a converter
/// does it wrongly.</summary>
public sealed class LlamaCppStoriesTests
{
    private const double Right = 1e-4, Wrong = 0.1;

    private static readonly int[][] Prompts = [[1, 403, 407], [1, 400, 300, 280, 270], [1, 419]];

    [Fact]
    public void Texts_are_split_and_continued_as_here()
    {
        using Case stories = Case.Open();
        using LlamaServer server = LlamaServer.Open(stories.Model);
        Tokenizer tokenizer = Tokenizer.Load(stories.Source);
        string[] texts = ["Once upon a time", "Lily and Tim  went.\nThey\tsaw 3 cats é", "", "a", " b"];
        foreach (string text in texts)
            Assert.Equal(tokenizer.Encode(text), server.Tokenize(text));
        Assert.InRange(stories.Deviation(server, what: "f32"), 0, Right);
    }

    [Theory, InlineData("f16", 0.02), InlineData("bf16", 0.1), InlineData("q8_0", 0.5), InlineData("q4_0", 0.5),
        InlineData("q4_k_m", 0.5), InlineData("q6_k", 0.5)]
    public void Every_type_gives_the_log_probabilities_of_the_file_opened_here(string type, double tolerance)
    {
        using Case stories = Case.Open();
        GgufModel.Write(stories.Source, stories.Folder["typed.gguf"], type);
        using PretrainedModel opened = PretrainedModel.Open(
            GgufFolders.Resolve(stories.Folder["typed.gguf"], stories.Folder["cache"]));
        using LlamaServer server = LlamaServer.Open(stories.Folder["typed.gguf"]);
        // llama.cpp rounds the inputs of products with packed weights to 8 bits, and those in half precision to it.
        Assert.InRange(stories.Deviation(server, opened, what: type), 0, tolerance);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void An_adapter_is_right_with_rows_of_B_in_the_bases_order_and_rsLoRAs_alpha(bool usesRsLora)
    {
        using Case stories = Case.Open();
        string folder = stories.Pairs(usesRsLora, "q_proj", "k_proj", "v_proj", "down_proj");
        using (NewDisposeScope())
            GgufAdapter.FromPeft(LoraFolder.Load(folder), folder, stories.Source, stories.Folder["a.gguf"]);
        using LlamaServer server = LlamaServer.Open(stories.Model, "--lora", stories.Folder["a.gguf"]);
        Assert.InRange(stories.Deviation(server, adapter: folder, what: usesRsLora ? "rsLoRA" : "adapter"), 0, Right);
        Assert.InRange(stories.Deviation(server, what: "without the adapter"), Wrong, 100); // it does something
    }

    [Theory, InlineData("rows"), InlineData("alpha"), InlineData("norm")]
    public void What_other_converters_write_wrongly_goes_wrong_without_a_word(string mistake)
    {
        using Case stories = Case.Open();
        string folder = stories.Pairs(false, "q_proj", "k_proj", "v_proj");
        using (NewDisposeScope())
            GgufAdapter.FromPeft(LoraFolder.Load(folder), folder, stories.Source, stories.Folder["a.gguf"]);
        using (GgufFile file = GgufFile.Open(stories.Folder["a.gguf"]))
        {
            var metadata = new GgufMetadata();
            foreach ((string key, object value) in file.Metadata.Values) metadata.Set(key, value);
            if (mistake == "alpha") metadata.Set("adapter.lora.alpha", 0f);
            GgufSource Copy(GgufTensor tensor) => new(tensor.Name, tensor.Shape, GgufType.F32, () =>
            {
                Tensor values = file.Read(tensor);
                bool isTurned = mistake == "rows" && tensor.Name.EndsWith("lora_b", StringComparison.Ordinal)
                    && !tensor.Name.Contains("attn_v", StringComparison.Ordinal);
                int heads = tensor.Name.Contains("attn_q", StringComparison.Ordinal) ? 8 : 4;
                return isTurned ? GgufForm.Interleaved(heads).FromGguf(values) : values;
            });
            GgufWriter.Write(stories.Folder["b.gguf"], metadata,
            [
                .. file.Tensors.Values.Select(Copy),
                .. mistake == "norm" ? [new GgufSource(
                    "blk.0.attn_norm.weight", [64], GgufType.F32, () => full([64], Number(7f)))]
                    : Array.Empty<GgufSource>(),
            ]);
        }
        using LlamaServer server = LlamaServer.Open(stories.Model, "--lora", stories.Folder["b.gguf"]);
        // A norm is ignored; what else an adapter says of it is lost.
        if (mistake == "norm")
            Assert.InRange(stories.Deviation(server, adapter: folder, what: "a norm beside the pairs"), 0, Right);
        else
            Assert.InRange(stories.Deviation(server, adapter: folder, what: mistake == "rows"
                ? "rows of q and k not interleaved" : "alpha 0"), Wrong, 100);
    }

    [Fact]
    public void An_adapter_of_an_embedding_that_the_head_shares_ends_llama_cpp_so_that_none_is_written()
    {
        using Case stories = Case.Open();
        GgufWriter.Write(stories.Folder["a.gguf"], new GgufMetadata().Set("general.architecture", "llama")
            .Set("general.type", "adapter").Set("adapter.type", "lora").Set("adapter.lora.alpha", 2f),
            [
                new GgufSource("token_embd.weight.lora_a", [512, 2], GgufType.F32, () => ones(512, 2)),
                new GgufSource("token_embd.weight.lora_b", [64, 2], GgufType.F32, () => ones(64, 2)),
            ]);
        Exception? end = Record.Exception(() =>
        {
            using LlamaServer server = LlamaServer.Open(stories.Model, "--lora", stories.Folder["a.gguf"]);
            stories.Deviation(server);
        });
        Assert.NotNull(end);
        string folder = stories.Pairs(false, "embed_tokens");
        using var scope = NewDisposeScope();
        Assert.Contains("llama.cpp ends where an adapter changes that", Assert.Throws<InputException>(() =>
            GgufAdapter.FromPeft(LoraFolder.Load(folder), folder, stories.Source, stories.Folder["b.gguf"])).Message,
            StringComparison.Ordinal);
    }

    private sealed class Case : IDisposable
    {
        private readonly PretrainedModel model;

        private Case(string source)
        {
            Source = source;
            model = PretrainedModel.Open(source);
            Model = Folder["stories.gguf"];
            GgufModel.Write(source, Model, "f32");
        }

        public TemporaryFolder Folder { get; } = new();

        public string Source { get; }

        public string Model { get; }

        public static Case Open()
        {
            Assert.SkipWhen(LlamaServer.Root is null, "llama.cpp is not at hand: set REF to a root that has it.");
            Assert.SkipWhen(StoriesTests.Folder() is null, "stories260K is not at hand: set LOWRANK_ASSETS.");
            return new Case(StoriesTests.Folder()!);
        }

        public string Pairs(bool usesRsLora, params string[] targets)
        {
            string folder = Folder[string.Join('-', targets)];
            using Adapter adapter = Adapter.Create(model,
                new LoraConfig { Rank = 4, Alpha = 6, UseRsLora = usesRsLora, TargetModules = [.. targets] }, 1);
            using var noGradient = no_grad();
            using var random = new Generator().manual_seed(2);
            foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.normal_(0, 0.2, random);
            adapter.Save(folder);
            return folder;
        }

        public double Deviation(
            LlamaServer server, PretrainedModel? other = null, string? adapter = null,
            [CallerMemberName] string what = "")
        {
            PretrainedModel used = other ?? model;
            using Adapter? loaded = adapter is null ? null : Adapter.Load(adapter, used);
            loaded?.Attach();
            double most = 0;
            foreach (int[] prompt in Prompts)
            {
                using var scope = NewDisposeScope();
                using var noGradient = no_grad();
                Tensor logits = used.Decoder.Forward(tensor(prompt.Select(id => (long)id).ToArray()).view(1, -1));
                float[] expected = [.. nn.functional.log_softmax(logits[0, prompt.Length - 1], 0).data<float>()];
                float[] found = server.LogProbabilities(prompt, expected.Length);
                most = Math.Max(most, expected.Zip(found).Max(pair => Math.Abs(pair.First - pair.Second)));
            }
            loaded?.Detach();
            if (Environment.GetEnvironmentVariable("LOWRANK_GGUF_TABLE") is { Length: > 0 } table)
                File.AppendAllText(
                    table, FormattableString.Invariant($"stories260K\t{what.Replace('_', ' ')}\t{most:g2}\n"));
            return most;
        }

        public void Dispose()
        {
            model.Dispose();
            Folder.Dispose();
        }
    }
}
