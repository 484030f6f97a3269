using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>Adapters as GGUF files, without llama.cpp: what its formula gives with the file's numbers, and the way
/// back. <see cref="LlamaCppTests"/> runs llama.cpp itself.</summary>
public sealed class GgufAdapterTests
{
    private static readonly string Goldens = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");

    /// <summary>Families that llama.cpp knows.</summary>
    public static TheoryData<string> Families =>
        ["llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2", "gemma2", "gemma3", "phi3", "gpt_neox", "gemma",
            "granite", "olmo2", "ministral3", "glm4", "phi", "stablelm", "falcon", "bloom", "qwen2_moe"];

    [Theory, MemberData(nameof(Families))]
    public void An_adapter_comes_back_from_GGUF_to_the_last_bit(string family)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string model = Path.Combine(Goldens, family);
        foreach (string kind in (string[])["lora", "trained"])
        {
            LoraFolder before = LoraFolder.Load(Path.Combine(model, kind));
            string file = folder[kind + ".gguf"], back = folder[kind];
            GgufAdapter.FromPeft(before, kind, model, file);
            GgufAdapter.ToPeft(file, model, back);
            LoraFolder after = LoraFolder.Load(back);
            Assert.Equal(before.Modules.Select(module => module.Path), after.Modules.Select(module => module.Path));
            foreach ((LoraModule one, LoraModule other) in before.Modules.Zip(after.Modules))
            {
                Assert.Equal(one.Scale, other.Scale);
                Assert.Equal(0, Golden.LargestDeviation(one.A, other.A));
                Assert.Equal(0, Golden.LargestDeviation(one.B, other.B));
            }
            // And the file is written from that again, byte for byte.
            GgufAdapter.FromPeft(after, back, model, folder["again.gguf"]);
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(folder["again.gguf"]));
        }
    }

    [Theory, InlineData("rslora"), InlineData("patterns"), InlineData("all_linear"), InlineData("embedding")]
    public void The_scale_of_each_pair_is_what_llama_cpp_makes_of_one_alpha_for_all(string variant)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        LoraFolder adapter = LoraFolder.Load(Path.Combine(Goldens, "variants", variant));
        GgufAdapter.FromPeft(adapter, variant, Path.Combine(Goldens, "qwen2"), folder["a.gguf"]);
        using GgufFile file = GgufFile.Open(folder["a.gguf"]);
        double alpha = file.Metadata.Number("adapter.lora.alpha")!.Value;
        Assert.Equal(2 * adapter.Modules.Count, file.Tensors.Count);
        foreach (LoraModule module in adapter.Modules)
        {
            string name = Name(module.Path);
            Tensor a = file.Read(file.Tensors[name + ".lora_a"]), b = file.Read(file.Tensors[name + ".lora_b"]);
            if (module.IsEmbedding) a = a.t();
            Tensor change = matmul(b, a) * Number(alpha / b.shape[1]);
            Assert.InRange(Golden.LargestDeviation(change, module.Delta()), 0, 1e-6);
        }
    }

    [Fact]
    public void Rows_of_queries_and_keys_are_interleaved_as_the_base_of_llama_has_them()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string model = Path.Combine(Goldens, "llama"); // 4 heads and 2 key-value heads of 16
        LoraFolder adapter = LoraFolder.Load(Path.Combine(model, "lora"));
        GgufAdapter.FromPeft(adapter, "lora", model, folder["a.gguf"]);
        using GgufFile file = GgufFile.Open(folder["a.gguf"]);
        Assert.Equal("llama", file.Metadata.Text("general.architecture"));
        foreach ((string path, string name, int heads) in new[] { ("q_proj", "attn_q", 4), ("k_proj", "attn_k", 2) })
        {
            Tensor b = adapter.Modules.First(module => module.Path.EndsWith(path, StringComparison.Ordinal)).B;
            // As convert_hf_to_gguf.py's permute.
            Tensor expected = b.reshape(heads, 2, b.shape[0] / heads / 2, b.shape[1]).transpose(1, 2).reshape(b.shape);
            Tensor written = file.Read(file.Tensors[$"blk.0.{name}.weight.lora_b"]);
            Assert.Equal(0, Golden.LargestDeviation(expected, written));
            Assert.NotEqual(0, Golden.LargestDeviation(b, written));
        }
    }

    [Fact]
    public void Half_precision_rounds_the_numbers_alone()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string model = Path.Combine(Goldens, "gpt2");
        LoraFolder before = LoraFolder.Load(Path.Combine(model, "lora"));
        foreach (string type in GgufAdapter.Types)
        {
            GgufAdapter.FromPeft(before, "lora", model, folder[type], type);
            GgufAdapter.ToPeft(folder[type], model, folder["back-" + type]);
            LoraFolder after = LoraFolder.Load(folder["back-" + type]);
            double most = before.Modules.Zip(after.Modules).Max(pair =>
                ((pair.First.B - pair.Second.B).abs() / pair.First.B.abs().clamp_min(Number(1e-4)))
                .max().item<float>());
            Assert.InRange(most, type == "f32" ? 0 : 1e-6,
                type switch { "f32" => 0, "f16" => 1.0 / 1024, _ => 1.0 / 128 });
        }
    }

    public static TheoryData<string, string> Refused => new()
    {
        { "modules_to_save", "lm_head.weight: GGUF's adapters hold pairs alone" },
        { "bias_all", "GGUF's adapters hold pairs alone" },
    };

    [Theory, MemberData(nameof(Refused))]
    public void What_no_pair_holds_is_refused_with_the_way_out(string variant, string expected)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        InputException refusal = Assert.Throws<InputException>(() => GgufAdapter.FromPeft(
            LoraFolder.Load(Path.Combine(Goldens, "variants", variant)), variant, Path.Combine(Goldens, "qwen2"),
            folder["a.gguf"]));
        Assert.Contains(expected, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("Merge it into its base", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(folder.FileNames);
    }

    [Fact]
    public void An_embedding_whose_table_the_head_shares_is_refused_because_llama_cpp_ends_there()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var golden = new Golden("gpt2");
        foreach (string target in (string[])["wte", "lm_head"])
        {
            using Adapter adapter = Adapter.Create(
                golden.Model, new LoraConfig { Rank = 2, TargetModules = [target, "c_attn"] }, 1);
            adapter.Save(folder[target]);
            Assert.Contains("shares the embedding's weight",
                Assert.Throws<InputException>(() => GgufAdapter.FromPeft(
                    LoraFolder.Load(folder[target]), target, golden.Folder, folder["a.gguf"])).Message,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_family_that_llama_cpp_does_not_know_is_refused_by_name()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string model = Path.Combine(Goldens, "opt");
        Assert.Contains("llama.cpp knows no models of the type opt",
            Assert.Throws<InputException>(() => GgufAdapter.FromPeft(
                LoraFolder.Load(Path.Combine(model, "lora")), "lora", model, folder["a.gguf"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Files_that_are_no_adapter_of_the_base_are_refused()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string llama = Path.Combine(Goldens, "llama"), qwen = Path.Combine(Goldens, "qwen2");
        GgufAdapter.FromPeft(LoraFolder.Load(Path.Combine(llama, "lora")), "lora", llama, folder["a.gguf"]);
        Assert.Contains("general.architecture is llama, expected qwen2",
            Assert.Throws<InputException>(() => GgufAdapter.ToPeft(folder["a.gguf"], qwen, folder["b"])).Message,
            StringComparison.Ordinal);
        void Write(string name, params GgufSource[] tensors) => GgufWriter.Write(folder[name],
            new GgufMetadata().Set("general.architecture", "llama").Set("general.type", "adapter")
                .Set("adapter.type", "lora").Set("adapter.lora.alpha", 1f), tensors);
        GgufSource Zeros(string name, params long[] shape) => new(name, shape, GgufType.F32, () => zeros(shape));
        Write("half", Zeros("blk.0.attn_q.weight.lora_a", 2, 64));
        Write("norm", Zeros("blk.0.attn_norm.weight", 64));
        Write("other", Zeros("blk.0.attn_q.weight.lora_a", 2, 32), Zeros("blk.0.attn_q.weight.lora_b", 64, 2));
        Write("ranks", Zeros("blk.0.attn_q.weight.lora_a", 2, 64), Zeros("blk.0.attn_q.weight.lora_b", 64, 3));
        foreach ((string name, string expected) in new[]
        {
            ("half", "lacks its other half"), ("norm", "is no part of a pair"), ("other", "the base's is [64, 64]"),
            ("ranks", "do not fit each other"),
        })
            Assert.Contains(expected, Assert.Throws<InputException>(
                () => GgufAdapter.ToPeft(folder[name], llama, folder["b"])).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["b"]));
    }

    [Fact]
    public void The_tokens_that_invoke_an_activated_adapter_go_along_and_come_back()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string model = Path.Combine(Goldens, "llama");
        LoraFolder plain = LoraFolder.Load(Path.Combine(model, "lora"));
        GgufAdapter.FromPeft(With(plain, "alora_invocation_tokens", "[5, 7]"), "a", model, folder["a.gguf"]);
        using (GgufFile file = GgufFile.Open(folder["a.gguf"]))
            Assert.Equal<long>([5, 7], file.Metadata.Integers("adapter.alora.invocation_tokens")!);
        GgufAdapter.ToPeft(folder["a.gguf"], model, folder["back"]);
        Assert.Equal([5, 7], LoraFolder.Load(folder["back"]).Config.OtherKeys["alora_invocation_tokens"]
            .EnumerateArray().Select(token => token.GetInt32()));
        foreach ((string key, string value, string expected) in new[]
        {
            ("alora_invocation_tokens", "[-1]", "expected a token's number"),
            ("arrow_config", "{}", "Arrow routing between adapters"),
        })
            Assert.Contains(expected, Assert.Throws<InputException>(
                () => GgufAdapter.FromPeft(With(plain, key, value), "a", model, folder["b.gguf"])).Message,
                StringComparison.Ordinal);

        static LoraFolder With(LoraFolder adapter, string key, string value) => adapter with
        {
            Config = adapter.Config with
            {
                OtherKeys = new Dictionary<string, JsonElement>(adapter.Config.OtherKeys)
                {
                    [key] = JsonElement.Parse(value),
                },
            },
        };
    }

    [Fact]
    public void An_alpha_of_zero_means_a_scale_of_one_in_llama_cpp_and_is_never_written_for_zero()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string model = Path.Combine(Goldens, "llama");
        LoraFolder adapter = LoraFolder.Load(Path.Combine(model, "lora"));
        LoraFolder none = adapter with { Modules = [.. adapter.Modules.Select(module => module with { Scale = 0 })] };
        GgufAdapter.FromPeft(none, "lora", model, folder["none.gguf"]);
        using (GgufFile file = GgufFile.Open(folder["none.gguf"]))
        {
            Assert.NotEqual(0, file.Metadata.Number("adapter.lora.alpha"));
            Assert.All(file.Tensors.Keys.Where(name => name.EndsWith("_b", StringComparison.Ordinal)),
                name => Assert.Equal(0, file.Read(file.Tensors[name]).abs().max().item<float>()));
        }
        GgufWriter.Write(folder["one.gguf"], new GgufMetadata().Set("general.architecture", "llama")
            .Set("general.type", "adapter").Set("adapter.type", "lora").Set("adapter.lora.alpha", 0f),
            [
                new GgufSource("blk.0.attn_v.weight.lora_a", [2, 64], GgufType.F32, () => ones(2, 64)),
                new GgufSource("blk.0.attn_v.weight.lora_b", [32, 2], GgufType.F32, () => ones(32, 2)),
            ]);
        GgufAdapter.ToPeft(folder["one.gguf"], model, folder["one"]);
        Assert.Equal(1, LoraFolder.Load(folder["one"]).Modules.Single().Scale);
    }

    [Theory, InlineData("dora"), InlineData("vera"), InlineData("loha/trained"), InlineData("lokr"),
        InlineData("modules_to_save"), InlineData("rslora"), InlineData("adalora")]
    public void Adapters_of_other_kinds_become_exact_pairs_of_the_rank_that_they_need(string variant)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var golden = new Golden("qwen2");
        string source = Path.Combine(Goldens, "variants", variant);
        (LoraFolder pairs, IReadOnlyList<KeptEnergy> kept) = AdapterAsPairs.Make(source, golden.Folder);
        Assert.All(kept, energy => Assert.Equal(1, energy.Fraction));
        pairs.Write(folder["pairs"]);
        Tensor expected = Logits(golden, source), found = Logits(golden, folder["pairs"]);
        Assert.InRange(Golden.LargestDeviation(expected, found), 0, 1e-4);
        Assert.True((expected - golden.Logits()).abs().max().item<float>() > 1e-2, "the adapter changes nothing");
        GgufAdapter.FromPeft(pairs, source, golden.Folder, folder["a.gguf"]);

        (LoraFolder small, IReadOnlyList<KeptEnergy> less) = AdapterAsPairs.Make(source, golden.Folder, rank: 1);
        Assert.All(small.Modules, module => Assert.Equal(1, module.Rank));
        Assert.Contains(less, energy => energy.Fraction < 0.999);
    }

    private static Tensor Logits(Golden golden, string folder)
    {
        using Adapter adapter = Adapter.Load(folder, golden.Model);
        adapter.Attach();
        Tensor logits = golden.Logits();
        adapter.Detach();
        return logits;
    }

    private static string Name(string path) => path switch
    {
        "model.embed_tokens" => "token_embd.weight",
        "lm_head" => "output.weight",
        _ => $"blk.{path.Split('.')[2]}." + path.Split('.')[^1] switch
        {
            "q_proj" => "attn_q", "k_proj" => "attn_k", "v_proj" => "attn_v", "o_proj" => "attn_output",
            "gate_proj" => "ffn_gate", "up_proj" => "ffn_up", _ => "ffn_down",
        } + ".weight",
    };
}
