using CsCheck;
using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

public sealed class RecipeProblemTests
{
    private const string Least = "model: base\ndata:\n  train: train.jsonl\noutput: out\n";

    private static IReadOnlyList<string> Problems(string text, params string[] overrides) =>
        Assert.Throws<InputException>(() => Recipe.Parse(text, "/recipes", overrides, "r.yaml")).Problems;

    [Fact]
    public void Everything_wrong_is_reported_at_once_from_top_to_bottom_and_the_overrides_last()
    {
        var e = Assert.Throws<InputException>(() => Recipe.Parse("""
            model: base
            devise: cpu
            data:
              train_on: prompt
            adapter:
              rank: 0
              rank: 4
              alpha: high
              dropout: 1
              use_rslora: yes
            training:
              steps: 1.5
              learningRate: 3
            """, "/recipes", ["training.seed=-1", "adapter.bias=some", "broken"], "r.yaml"));
        Assert.Equal(
        [
            "r.yaml, line 1, column 1: output is missing, expected the folder that receives the adapter",
            "r.yaml, line 2, column 1: devise is not a key of a recipe; did you mean device?",
            "r.yaml, line 4, column 3: data.train is missing, expected a data file, a folder of them, or a list",
            "r.yaml, line 4, column 13: data.train_on is prompt, expected one of completion, all",
            "r.yaml, line 6, column 9: adapter.rank is 0, expected a whole number of at least 1",
            "r.yaml, line 7, column 3: rank is given a second time, first on line 6; keep one of them",
            "r.yaml, line 8, column 10: adapter.alpha is high, expected a number above 0",
            "r.yaml, line 9, column 12: adapter.dropout is 1, expected a number of at least 0 and below 1",
            "r.yaml, line 10, column 15: adapter.use_rslora is yes, expected true or false",
            "r.yaml, line 12, column 10: training.steps is 1.5, expected a whole number of at least 1",
            "r.yaml, line 13, column 3: training.learningRate is not a key of a recipe; did you mean " +
            "training.learning_rate?",
            "the override training.seed=-1: training.seed is -1, expected a whole number of at least 0",
            "the override adapter.bias=some: adapter.bias is some, expected one of none, all, lora_only",
            "the override broken: expected section.key=value, for example training.steps=100",
        ], e.Problems);
        Assert.StartsWith("14 problems in r.yaml:\n  - r.yaml, line 1", e.Message);
    }

    [Theory]
    [InlineData("rank: 4", "rank is not a key of a recipe; did you mean adapter.rank?")]
    [InlineData("trainning: {}", "trainning is not a key of a recipe; did you mean training?")]
    [InlineData("tf32: true",
        "tf32 has no effect with device cpu, it is of NVIDIA GPUs; remove it, or set device: cuda")]
    [InlineData("xyz: 4",
        "xyz is not a key of a recipe; known here: base, model, task, task_options, device, base_dtype, " +
        "compute_dtype, base_head, tf32, data, adapter, training, objective, comparison, output")]
    [InlineData("device: gpu", "device is gpu, expected cpu, cuda, cuda:N or mps")]
    [InlineData("adapter: 4", "adapter is 4, expected a section of keys")]
    [InlineData("adapter: { target_modules: '(' }",
        "adapter.target_modules is \"(\", expected module names or a regular expression")]
    [InlineData("adapter: { target_modules: [] }",
        "adapter.target_modules is an empty list, expected a text or a list of texts")]
    [InlineData("adapter: { target_modules: [a, [b]] }",
        "adapter.target_modules is a list, expected a text or a list of texts")]
    [InlineData("adapter: { rank_pattern: { q: 1.5 } }",
        "adapter.rank_pattern.q is 1.5, expected a whole number of at least 1")]
    [InlineData("adapter: { rank_pattern: { q: 99999999999 } }",
        "adapter.rank_pattern.q is 99999999999, expected a whole number of at least 1")]
    [InlineData("adapter: { rank_pattern: { '[': 1 } }",
        "adapter.rank_pattern is \"[\", expected module names or a regular expression")]
    [InlineData("adapter: { alpha_pattern: [1] }",
        "adapter.alpha_pattern is a list, expected a map of module names to numbers")]
    [InlineData("adapter: { rank: '4' }", "adapter.rank is \"4\", expected a whole number of at least 1")]
    [InlineData("adapter: { layers_to_transform: [0, -1] }",
        "adapter.layers_to_transform is -1, expected a whole number of at least 0, or a list of them")]
    [InlineData("adapter: { layers_to_transform: 1, target_modules: 'a.*' }",
        "adapter.layers_to_transform does not go with a regular expression")]
    [InlineData("adapter: { layers_pattern: h }",
        "adapter.layers_pattern has no effect without adapter.layers_to_transform")]
    [InlineData("adapter: { method: full, rank: 4 }",
        "adapter.rank has no effect with adapter.method: full; remove it")]
    [InlineData("training: { steps: 3, epochs: 2 }",
        "training.steps and training.epochs are both given; keep one of them")]
    [InlineData("training: { warmup_steps: 3, warmup_ratio: 0.1 }",
        "training.warmup_ratio and training.warmup_steps are both given")]
    [InlineData("training: { warmup_steps: 3, steps: 2 }",
        "training.warmup_steps is 3, expected at most training.steps, 2")]
    [InlineData("training: { from_scratch: true }", "training.from_scratch needs adapter.method: full")]
    [InlineData("{adapter: {method: full}, training: {init_adapter: a}}",
        "training.init_adapter does not go with adapter.method: full")]
    [InlineData("training: { eval_every: 5 }", "training.eval_every has no effect without data.validation")]
    [InlineData("training: { patience: 3 }",
        "training.patience stops by the held-out loss, which needs data.validation")]
    [InlineData("training: { min_delta: 0.1 }", "training.min_delta has no effect without training.patience")]
    [InlineData("training: { max_time: 3 parsecs }",
        "training.max_time is 3 parsecs, expected a time such as 90s, 30m, 2h, 1h30m, or a number of seconds")]
    [InlineData("training: { max_time: 0m }", "training.max_time is 0m, expected a time")]
    [InlineData("training: { max_tokens: 0 }", "training.max_tokens is 0, expected a whole number of at least 1")]
    [InlineData("training: { max_skipped_steps: 0 }",
        "training.max_skipped_steps is 0, expected a whole number of at least 1")]
    [InlineData("training: { learning_rate: .nan }", "training.learning_rate is .nan, expected a number above 0")]
    [InlineData("training: { learning_rate: 1e999 }", "training.learning_rate is 1e999, expected a number above 0")]
    [InlineData("training: { threads: 5000 }", "training.threads is 5000, expected a whole number from 1 to 1024")]
    [InlineData("training: { seed: 9223372036854775808 }",
        "training.seed is 9223372036854775808, expected a whole number of at least 0")]
    [InlineData("training: { init_adapter: '${LOWRANK_NOT_SET}/a' }",
        "the environment variable LOWRANK_NOT_SET of ${LOWRANK_NOT_SET}/a is not set")]
    [InlineData("comparison: {}",
        "comparison.data is missing, and there is neither data.validation nor data.validation_share to compare on")]
    public void A_bad_value_says_what_is_expected(string lines, string expected)
    {
        // Several sections are given as one flow map: its braces are taken off and its parts become lines.
        string text = lines.StartsWith('{') ? lines[1..^1].Replace("}, training", "}\ntraining") : lines;
        string problem = Assert.Single(Problems(Least + text + "\n"));
        Assert.Contains(expected, problem);
        Assert.StartsWith("r.yaml, line ", problem);
    }

    [Theory]
    [InlineData("adapter: &a\n  rank: 4\n", "line 5, column 10: &a names a value, which recipes do not support")]
    [InlineData("training:\n  <<: {seed: 1}\n", "line 6, column 3: the merge key << is not supported")]
    [InlineData("adapter: { rank: !!int 4 }\n", "line 5, column 18: the tag tag:yaml.org,2002:int is not supported")]
    [InlineData("---\nmodel: b\n", "line 5, column 1: a second YAML document begins")]
    [InlineData("adapter: { [a]: 1 }\n", "line 5, column 12: a key is a list, expected a text")]
    public void What_only_YAML_has_is_refused(string lines, string expected) =>
        Assert.Contains(expected, Assert.Single(Problems(Least + lines)));

    [Fact]
    public void An_alias_is_refused_where_it_stands()
    {
        IReadOnlyList<string> problems = Problems(Least + "adapter:\n  rank: &r 4\ntraining:\n  seed: *r\n");
        Assert.Equal(2, problems.Count);
        Assert.StartsWith("r.yaml, line 8, column 9: *r refers to another value", problems[1]);
    }

    [Theory]
    [InlineData("model: base\ndata:\n\ttrain: x\n", "line 3", "the line is indented by a tab")]
    [InlineData("model: [base\noutput: x\n", "line 1", "this is not YAML")]
    [InlineData("model: 'base\n", "line 1", "this is not YAML")]
    public void A_syntax_error_has_its_line(string text, string where, string expected)
    {
        string problem = Assert.Single(Problems(text));
        Assert.Contains(where, problem);
        Assert.Contains(expected, problem);
    }

    [Fact]
    public void A_nesting_that_would_exhaust_the_stack_is_refused() =>
        Assert.Contains("nested more than 32 deep", Assert.Single(Problems("model: " + new string('[', 100_000))));

    [Theory]
    [InlineData("")]
    [InlineData("# nothing\n")]
    [InlineData("---\n")]
    public void An_empty_recipe_lacks_everything(string text) => Assert.Equal(3, Problems(text).Count);

    [Fact]
    public void A_list_is_no_recipe() => Assert.Contains("the recipe is a list", Assert.Single(Problems("- model\n")));

    [Theory]
    [InlineData("training.sede=1",
        "the override training.sede=1: training.sede is not a key of a recipe; did you mean training.seed?")]
    [InlineData("training.seed=[1", "the override training.seed=[1: this is not YAML")]
    [InlineData("=3", "the override =3: expected section.key=value")]
    [InlineData("training..seed=3", "the override training..seed=3: expected section.key=value")]
    [InlineData("model.path=3", "the override model.path=3: model is a section of keys, expected a text")]
    public void A_bad_override_is_named(string setting, string expected) =>
        Assert.StartsWith(expected, Assert.Single(Problems(Least, setting)));

    [Theory]
    [InlineData("k{0}: x", "r.yaml, line 5, column 1: k0 is not a key of a recipe; known here",
        "r.yaml, line 50004, column 1: the last of 49990 more keys that recipes do not have")]
    [InlineData("k{0}: &a{0} x", "r.yaml, line 5, column 5: &a0 names a value",
        "r.yaml, line 50004, column 9: the last of 49990 more values that are named by &")]
    [InlineData("model: x{0}", "r.yaml, line 5, column 1: model is given a second time, first on line 1",
        "r.yaml, line 50004, column 1: the last of 49990 more keys that are given again")]
    [InlineData("<<: x{0}", "r.yaml, line 5, column 1: the merge key <<",
        "r.yaml, line 50004, column 1: the last of 49990 more merge keys")]
    [InlineData("k{0}: *a", "r.yaml, line 5, column 5: *a refers",
        "r.yaml, line 50004, column 9: the last of 49990 more values that refer to another by *")]
    public void Very_many_problems_of_one_kind_are_counted(string line, string first, string last)
    {
        IReadOnlyList<string> problems =
            Problems(Least + string.Concat(Enumerable.Range(0, 50_000).Select(i => string.Format(line, i) + "\n")));
        Assert.Contains(problems, problem => problem.StartsWith(first, StringComparison.Ordinal));
        Assert.Contains(last, problems);
        Assert.InRange(problems.Count, 11, 22);
        Assert.StartsWith(
            "50000 problems in r.yaml:",
            Assert.Throws<InputException>(
                () => Recipe.Parse(
                    Least + string.Concat(Enumerable.Range(0, 50_000).Select(i => $"k{i}: x\n")), "/recipes", [],
                    "r.yaml")).Message);
    }

    [Fact]
    public void A_giant_value_is_quoted_by_its_beginning()
    {
        string problem = Assert.Single(Problems(Least + $"device: {new string('x', 1_000_000)}\n"));
        Assert.InRange(problem.Length, 200, 400);
        Assert.Contains("x…, expected cpu", problem);
    }

    [Fact]
    public void No_text_leads_to_anything_but_a_recipe_or_its_problems() => Gen.OneOf(
        "model", "output", ": ", "data", "\n", "\n  ", "- ", "[", "]", "{", "}", "\t", "'", "\"", "#", "&a ", "*a ",
            "<<", "!!int ", "|", ">", "%", "---", "\\", "\u0085",
        "\0", "x", "1e4", "adapter:\n  rank: ", "...", "?", ",", "é", "\\x", "${A}").List[0, 12].Select(string.Concat)
            .Sample(text =>
    {
        try
        {
            Recipe.Parse(text, "/recipes");
            Assert.Contains("model", text);
        }
        catch (InputException e)
        {
            Assert.NotEmpty(e.Problems);
        }
    }, iter: 20_000);
}
