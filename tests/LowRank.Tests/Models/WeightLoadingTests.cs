using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

public sealed class WeightLoadingTests
{
    private static float[] Logits(Decoder model)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return model.Forward(TinyModel.Ids(1, 5, 9, 31)).data<float>().ToArray();
    }

    [Theory]
    [InlineData(TinyModel.Llama, "model.")]
    [InlineData(TinyModel.Gpt2, "transformer.")]
    public void A_checkpoint_gives_the_same_logits_with_and_without_its_prefix(string config, string prefix)
    {
        using var tiny = new TinyModel(TinyModel.With(config, "tie_word_embeddings", true));
        float[] expected = Logits(tiny.Model.Decoder);
        tiny.Save();
        using (var whole = PretrainedModel.Open(tiny.Path)) Assert.Equal(expected, Logits(whole.Decoder));
        tiny.Save((name, weight) => (name[prefix.Length..], weight));
        using var bare = PretrainedModel.Open(tiny.Path);
        Assert.Equal(expected, Logits(bare.Decoder));
        string first = bare.Decoder.Parameters.Keys.First();
        Assert.Equal(first[prefix.Length..], bare.Decoder.StoredName(first));
    }

    [Fact]
    public void A_tied_head_may_be_stored_and_an_untied_one_must()
    {
        using var tiny = new TinyModel();
        tiny.Save((name, weight) => name == "lm_head.weight" ? null : (name, weight));
        var e = Assert.Throws<InputException>(() => PretrainedModel.Open(tiny.Path));
        Assert.Contains("missing: lm_head.weight [32, 16]", e.Message);
        tiny.Save();
        File.WriteAllText(
            System.IO.Path.Combine(tiny.Path, "config.json"),
            TinyModel.With(TinyModel.Llama, "tie_word_embeddings", true));
        using var tied = PretrainedModel.Open(tiny.Path);
        Assert.Equal(Logits(tiny.Model.Decoder), Logits(tied.Decoder)); // the file has another head, which counts
        Assert.Contains("lm_head.weight", tied.Decoder.Parameters.Keys);
        tiny.Save((name, weight) => name == "lm_head.weight"
            ? (name, tiny.Model.Decoder.Parameters["model.embed_tokens.weight"]) : (name, weight));
        using var equal = PretrainedModel.Open(tiny.Path);
        Assert.NotEqual(Logits(tiny.Model.Decoder), Logits(equal.Decoder));
        Assert.DoesNotContain("lm_head.weight", equal.Decoder.Parameters.Keys);
        Assert.Equal(["lm_head.weight"], equal.Decoder.DuplicateWeights);
    }

    [Fact]
    public void Many_tensors_that_do_not_fit_are_one_sentence_with_the_first_three()
    {
        using var scope = NewDisposeScope();
        using var tiny = new TinyModel();
        tiny.Save((name, weight) => (name.Replace("model.layers", "model.blocks", StringComparison.Ordinal), weight));
        InputException e = Assert.Throws<InputException>(() => PretrainedModel.Open(tiny.Path));
        Assert.Equal(2, e.Problems.Count);
        Assert.StartsWith("missing: 18 tensors, such as model.layers.0.input_layernorm.weight [16]; ", e.Problems[0]);
        Assert.StartsWith(
            "unexpected: 18 tensors, such as model.blocks.0.input_layernorm.weight [16]; ", e.Problems[1]);
        Assert.Equal(3, e.Problems[0].Split("; ").Length);
    }

    [Fact]
    public void Every_tensor_that_does_not_fit_is_listed_at_once()
    {
        using var scope = NewDisposeScope();
        using var tiny = new TinyModel();
        tiny.Save((name, weight) => name switch
        {
            "model.norm.weight" => null,
            "model.layers.0.mlp.up_proj.weight" => (name, weight.detach().t().contiguous()),
            "model.layers.1.self_attn.q_proj.weight" => ("model.layers.1.self_attn.wrong.weight", weight),
            _ => (name, weight),
        });
        string message = Assert.Throws<InputException>(() => PretrainedModel.Open(tiny.Path)).Message;
        Assert.Contains("4 tensors do not fit", message);
        Assert.Contains("missing: model.norm.weight [16]", message);
        Assert.Contains("wrong shape: model.layers.0.mlp.up_proj.weight is [16, 24], expected [24, 16]", message);
        Assert.Contains("missing: model.layers.1.self_attn.q_proj.weight [16, 16]", message);
        Assert.Contains("unexpected: model.layers.1.self_attn.wrong.weight [16, 16]", message);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void Half_precision_is_widened_exactly(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var tiny = new TinyModel();
        tiny.Save((name, weight) => (name, weight.detach().to(type)));
        using var opened = PretrainedModel.Open(tiny.Path);
        foreach ((string name, Tensor weight) in opened.Decoder.Parameters)
        {
            Assert.Equal(ScalarType.Float32, weight.dtype);
            Assert.True(
                weight.equal(tiny.Model.Decoder.Parameters[name].to(type).to(ScalarType.Float32)).all().item<bool>(),
                name);
        }
    }

    [Fact]
    public void Trainable_weights_are_the_reader_s_own_memory()
    {
        using var tiny = new TinyModel();
        tiny.Save();
        byte[] before = File.ReadAllBytes(System.IO.Path.Combine(tiny.Path, "model.safetensors"));
        using var opened = PretrainedModel.Open(tiny.Path, trainable: true);
        using var noGradient = no_grad();
        foreach (Tensor weight in opened.Decoder.Parameters.Values) weight.add_(Number(1), Number(1));
        using var again = PretrainedModel.Open(tiny.Path);
        Assert.Equal(Logits(tiny.Model.Decoder), Logits(again.Decoder));
        Assert.Equal(before, File.ReadAllBytes(System.IO.Path.Combine(tiny.Path, "model.safetensors")));
    }

    [Fact]
    public void Random_weights_come_from_the_seed_alone()
    {
        using var scope = NewDisposeScope();
        using TinyModel one = new(seed: 7), same = new(seed: 7), other = new(seed: 8);
        Assert.Equal(Logits(one.Model.Decoder), Logits(same.Model.Decoder));
        Assert.NotEqual(Logits(one.Model.Decoder), Logits(other.Model.Decoder));
        Assert.All(one.Model.Decoder.Parameters.Where(p => p.Value.dim() == 1),
            p => Assert.True((p.Value == Number(1)).all().item<bool>(), p.Key));
        Tensor table = one.Model.Decoder.Parameters["model.embed_tokens.weight"];
        Assert.InRange(table.std().item<float>(), 0.015, 0.025);
    }

    [Fact]
    public void A_config_key_that_nothing_knows_is_said()
    {
        using var known = new TinyModel();
        Assert.Empty(known.Model.Notes);
        using var model =
            new TinyModel(TinyModel.With(TinyModel.With(TinyModel.Llama, "logit_magic", 3), "torch_dtype", "bfloat16"));
        Assert.Contains("not known to llama here and so has no effect: logit_magic.", Assert.Single(model.Model.Notes),
            StringComparison.Ordinal);
    }
}
