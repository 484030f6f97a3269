using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

/// <summary>What base, adapter and rows decide about keys: said when a run is prepared.</summary>
public sealed class PreparedKeyTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("lowrank-keys-").FullName;

    public PreparedKeyTests()
    {
        File.WriteAllText(
            Path.Combine(folder, "t.jsonl"),
            string.Concat(
                Enumerable.Range(0, 4)
                .Select(i => $"{{\"prompt\": \"p{i} \", \"completion\": \"c\", \"facts\": [\"c\"]}}\n")));
        File.WriteAllText(Path.Combine(folder, "plain.jsonl"), "{\"text\": \"some words\"}\n");
        File.WriteAllText(Path.Combine(folder, "t.txt"), "one\ntwo\n");
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private Recipe Parse(string yaml) =>
        Recipe.Parse($"model: {Path.Combine(RepositoryFiles.Root, "models", "base")}\noutput: out\n{yaml}\n", folder,
        name: "r.yaml");

    private string Refused(string yaml) =>
        Assert.Throws<InputException>(() => RecipeRun.Prepare(Parse(yaml)).Dispose()).Message;

    private IReadOnlyList<string> Notes(string yaml)
    {
        using RecipeRun run = RecipeRun.Prepare(Parse(yaml));
        return run.Notes;
    }

    [Theory]
    [InlineData("data: {train: t.jsonl}\nadapter: {bias: all}",
        "r.yaml, line 4, column 17: adapter.bias is all, and the base has no biases; set it to none")]
    [InlineData("data: {train: t.jsonl}\nadapter: {bias: lora_only}", "adapter.bias is lora_only, and none of the")]
    [InlineData("data: {train: t.jsonl, text: lines}",
        "data.text is lines, which is for files of plain text (.txt), and there is none among 1 data file; remove it")]
    [InlineData("data: {train: plain.jsonl}\ncomparison: {data: plain.jsonl, generations: 2}",
        "comparison.generations is 2, and no row of the comparison has a prompt")]
    public void What_has_no_effect_here_is_refused(string yaml, string expected) =>
        Assert.Contains(expected, Refused(yaml));

    [Fact]
    public void All_such_keys_are_named_at_once()
    {
        string said = Refused("data: {train: t.jsonl, text: lines}\nadapter: {bias: all}");
        Assert.Contains("data.text", said);
        Assert.Contains("adapter.bias", said);
    }

    [Fact]
    public void What_takes_effect_in_part_is_said()
    {
        IReadOnlyList<string> notes =
            Notes("data: {train: t.jsonl}\ncomparison: {data: t.jsonl, generations: 9, facts: 500, references: 7}");
        Assert.Contains("comparison.generations is 9, and the comparison has 4 prompts: all of them are shown", notes);
        Assert.Contains(
            "comparison.facts is 500, and the comparison has 4 prompts: all of them are asked for facts", notes);
        Assert.Contains(
            "comparison.references is 7, and the comparison has 4 prompts: all of them are measured", notes);
        Assert.Contains("data.validation is never measured: training.eval_every is 0",
            Notes("data: {train: t.jsonl, validation: t.jsonl}\ntraining: {eval_every: 0}"));
    }

    [Fact]
    public void What_takes_effect_is_neither_refused_nor_noted()
    {
        IReadOnlyList<string> notes =
            Notes("data: {train: t.txt, text: lines}\nadapter: {bias: none}\ncomparison: {data: t.jsonl, " +
            "generations: 3, facts: 4}");
        Assert.DoesNotContain(notes, note => note.Contains("comparison.") || note.Contains("data.text"));
    }

    [Fact]
    public void Keys_beside_an_adapter_to_begin_from_may_say_what_it_says()
    {
        string begun = Begun();
        Notes("data: {train: t.jsonl}\nadapter: {method: lora, rank: 4, alpha: 8, target_modules: [v_proj, " +
            $"q_proj], bias: none, dropout: 0, modules_to_save: null}}\ntraining: {{init_adapter: {begun}}}");
        // A pattern that selects the same modules says the same.
        Notes("data: {train: t.jsonl}\nadapter: {target_modules: '.*(q|v)_proj'}\ntraining: {init_adapter: " +
            $"{begun}}}");
    }

    [Fact]
    public void Keys_beside_an_adapter_to_begin_from_that_differ_are_named_with_both_values()
    {
        string begun = Begun();
        string said = Refused(
            "data: {train: t.jsonl}\nadapter: {rank: 8, alpha: 8, dropout: 0.5, target_modules: [q_proj], " +
            $"new_tokens: ['<a>']}}\ntraining: {{init_adapter: {begun}}}");
        Assert.Contains(
            $"adapter.rank is 8, and the adapter of training.init_adapter ({begun}) has 4, which holds; remove the " +
            "key, or give it that value", said);
        Assert.Contains(
            $"adapter.dropout is 0.5, and the adapter of training.init_adapter ({begun}) has 0, which holds", said);
        Assert.Contains(
            $"adapter.target_modules is [q_proj], and the adapter of training.init_adapter ({begun}) has [q_proj, " +
            "v_proj], which holds", said);
        Assert.Contains("adapter.new_tokens is [<a>], and the adapter of training.init_adapter", said);
        Assert.DoesNotContain("adapter.alpha", said);
    }

    private string Begun()
    {
        string begun = Path.Combine(folder, "begun");
        using RecipeRun run =
            RecipeRun.Prepare(
                Parse("data: {train: t.jsonl}\nadapter: {rank: 4, alpha: 8, target_modules: [q_proj, v_proj]}"));
        Directory.CreateDirectory(begun);
        run.Adapter!.Save(begun);
        return begun;
    }
}
