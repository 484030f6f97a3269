using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Writes docs/models.md: with LOWRANK_WRITE_DOCS=1 in the environment, and holds the file to it
/// otherwise.</summary>
[Collection("alone")]
public sealed partial class ModelsPageTests
{
    // The reference cases of each family; a case of another task than its family's first is named after it.
    private static readonly Dictionary<string, string[]> Cases = new()
    {
        ["bert"] = ["bert", "bert_token_classification", "bert_question_answering", "bert_masked_lm", "bert_regression",
            "bert_multi_label", "bert_sequence_pairs"],
        ["bloom"] = ["bloom", "bloom_heads"],
        ["cohere2"] = ["cohere2", "cohere2_biases"],
        ["distilbert"] = ["distilbert", "distilbert_masked_lm", "distilbert_question_answering"],
        ["falcon"] = ["falcon", "falcon_groups", "falcon_one_norm", "falcon_rw"],
        ["gemma"] = ["gemma"],
        ["gemma2"] = ["gemma2", "gemma2_windows"],
        ["gemma3_text"] = ["gemma3", "gemma3_windows"],
        ["glm4"] = ["glm4", "glm4_plain"],
        ["gpt2"] = ["gpt2", "gpt2_sequence_classification", "gpt2_token_classification"],
        ["gpt_neox"] = ["gpt_neox", "gpt_neox_parallel", "gpt_neox_sequential"],
        ["gptj"] = ["gptj"],
        ["granite"] = ["granite"],
        ["llama"] = ["llama", "llama3_rope", "llama_biases", "llama_sequence_classification", "rope_linear",
            "rope_yarn", "rope_yarn_mscale", "rope_dynamic"],
        ["ministral3"] = ["ministral3"],
        ["mistral"] = ["mistral", "mistral_no_window"],
        ["mixtral"] = ["mixtral"],
        ["modernbert"] = ["modernbert", "modernbert_token_classification", "modernbert_masked_lm"],
        ["olmo2"] = ["olmo2"],
        ["olmo3"] = ["olmo3"],
        ["opt"] = ["opt", "opt_norm_after"],
        ["phi"] = ["phi", "phi_norms"],
        ["phi3"] = ["phi3", "phi3_partial", "phi3_longrope", "phi3_longrope_partial"],
        ["qwen2"] = ["qwen2", "qwen2_windows", "qwen2_token_classification"],
        ["qwen2_moe"] = ["qwen2_moe", "qwen2_moe_plain"],
        ["qwen3"] = ["qwen3", "qwen3_biases"],
        ["qwen3_moe"] = ["qwen3_moe", "qwen3_moe_unnormalized"],
        ["roberta"] = ["roberta", "roberta_token_classification", "roberta_masked_lm"],
        ["smollm3"] = ["smollm3", "smollm3_windows"],
        ["stablelm"] = ["stablelm", "stablelm_parallel"],
        ["starcoder2"] = ["starcoder2", "starcoder2_plain"],
        ["t5"] = ["t5", "t5_plain", "t5_gated"],
        ["xlm-roberta"] = ["xlm-roberta"],
    };

    [Fact]
    public void The_page_lists_each_family_with_what_was_measured()
    {
        string path = Path.Combine(Root(), "docs", "models.md");
        Assert.Equal(FamilyRegistry.ModelTypes, Cases.Keys.Order(StringComparer.Ordinal));
        Dictionary<string, double> measured =
            Cases.ToDictionary(family => family.Key, family => family.Value.Max(Deviation));
        Assert.All(measured, family => Assert.InRange(family.Value, 0, 1e-4));
        if (Environment.GetEnvironmentVariable("LOWRANK_WRITE_DOCS") == "1") File.WriteAllText(path, Page(measured));
        string page = File.ReadAllText(path);
        Assert.Equal(Numbers().Replace(Page(measured), "N"), Numbers().Replace(page, "N"));
        // The last digits differ from machine to machine: what the page says holds to a factor of ten.
        foreach ((string family, double deviation) in measured)
        {
            double said = double.Parse(
                Regex.Match(page, $@"^\| `{Regex.Escape(family)}` .*\| ([0-9e-]+) \|$", RegexOptions.Multiline).Groups[
                    1].Value, CultureInfo.InvariantCulture);
            Assert.InRange(deviation, 0, 10 * said);
        }
    }

    private static double Deviation(string name)
    {
        using var golden = new Golden(name);
        using var scope = NewDisposeScope();
        double worst = golden.HeadDeviation("");
        foreach ((string folder, string suffix) in new[] { ("lora", ".lora"), ("trained", ".trained") })
        {
            string output = golden.Has("start_logits") ? "start_logits" : "logits";
            if (!golden.Has(output + suffix)) continue;
            using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, folder), golden.Model);
            adapter.Attach();
            worst = Math.Max(worst, golden.HeadDeviation(suffix));
            adapter.Merge();
            worst = Math.Max(
                worst, golden.HeadDeviation(golden.Has(output + ".merged") && suffix == ".lora" ? ".merged" : suffix));
            adapter.Unmerge();
        }
        return worst;
    }

    private static string Page(Dictionary<string, double> measured)
    {
        var page = new StringBuilder("""
            # Models

            A model is a folder in the format of the Hugging Face Hub: `config.json`, safetensors weights, tokenizer files. The key
            `model_type` in its config names the family.

            | `model_type` | tasks | default targets | largest deviation |
            |---|---|---|---|

            """);
        foreach (IModelFamily family in FamilyRegistry.All)
        {
            string tasks =
                string.Join(", ", TaskRegistry.Names.Where(task => TaskRegistry.Get(task).Fits(family))
                .Select(task => $"`{task}`"));
            string targets = string.Join(", ", DefaultTargets.Find(family.ModelType)!.Select(target => $"`{target}`"));
            page.Append(CultureInfo.InvariantCulture,
                $"| `{family.ModelType}` | {tasks} | {targets} | {RoundedUp(measured[family.ModelType])} |\n");
        }
        return page.Append("""

            The deviation is the largest absolute difference between an output (logits, or the scores of a head) here and in
            transformers 5.12 and PEFT 0.20.1, in float32 on a processor. It covers all reference cases of the family: the bare
            model, the model with an adapter, and the merged model. The cases are in `tests/LowRank.ParityTests/Fixtures/goldens`;
            on each of them the training losses stay within 1e-4 of the reference. A test writes this table
            (`LOWRANK_WRITE_DOCS=1`) and checks it against what it measures.

            """).ToString();
    }

    private static string RoundedUp(double value)
    {
        int exponent = (int)Math.Floor(Math.Log10(Math.Max(value, 1e-9)));
        int digit = (int)Math.Ceiling(value / Math.Pow(10, exponent));
        return digit >= 10 ? $"1e{exponent + 1}" : $"{digit}e{exponent}";
    }

    private static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));

    [GeneratedRegex(@"(?<=\| )[0-9]+e-[0-9]+(?= \|)")]
    private static partial Regex Numbers();
}
