using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

public sealed class RecipeInheritanceTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_nearer_file_holds_and_paths_belong_to_the_file_that_names_them()
    {
        Write("shared/base.yaml",
            "model: m\ndata: {train: t.jsonl, validation: v.jsonl}\nadapter: {rank: 4, target_modules: [q_proj, " +
            "v_proj]}\ntraining: {learning_rate: 1e-3, seed: 7}\noutput: out\n");
        Write("near.yaml",
            "base: shared/base.yaml\ndata: {train: mine.jsonl}\nadapter: {target_modules: [k_proj]}\ntraining: " +
            "{seed: null}\noutput: run\n");
        Recipe recipe = Recipe.Load(folder["near.yaml"], ["training.batch_size=3"]);
        Assert.Equal(folder["shared/m"], recipe.Model);
        Assert.Equal([folder["mine.jsonl"]], recipe.Data.Train);
        Assert.Equal([folder["shared/v.jsonl"]], recipe.Data.Validation);
        Assert.Equal(4, recipe.Adapter.Config.Rank);
        Assert.Equal(["k_proj"], recipe.Adapter.Config.TargetModules!); // a list is replaced whole
        Assert.Equal(1e-3, recipe.Training.LearningRate);
        Assert.Equal(42, recipe.Training.Seed); // nothing resets to the default
        Assert.Equal(3, recipe.Training.BatchSize);
        Assert.Equal(folder["run"], recipe.Output);
        Assert.DoesNotContain("base:", recipe.ToYaml().Split('\n')[0]); // what was resolved stands alone
    }

    [Fact]
    public void Steps_replace_the_epochs_of_the_file_below()
    {
        Write("base.yaml", "model: m\ndata: {train: t}\ntraining: {epochs: 5, warmup_ratio: 0.1}\noutput: o\n");
        Write("near.yaml", "base: base.yaml\ntraining: {steps: 10, warmup_steps: 2}\n");
        Recipe recipe = Recipe.Load(folder["near.yaml"]);
        Assert.Equal(10, recipe.Training.Steps);
        Assert.Equal(2, recipe.Training.WarmupSteps);
    }

    [Fact]
    public void An_override_replaces_the_key_that_excludes_it_wherever_that_stands_and_says_so()
    {
        Write("near.yaml", "base: preset:small\nmodel: m\ndata: {train: t}\noutput: o\ntraining: {epochs: 2}\n");
        Recipe recipe = Recipe.Load(folder["near.yaml"], ["training.warmup_steps=5"]);
        Assert.Equal((5, 0.0), (recipe.Training.WarmupSteps, recipe.Training.WarmupRatio));
        Recipe own = Recipe.Load(folder["near.yaml"], ["training.steps=5"]);
        Assert.Equal(5, own.Training.Steps);
        Assert.Equal(
            $"--set training.steps=5 replaces training.epochs ({folder["near.yaml"]}, line 5, column 20): only one " +
            "of the two can be given",
            Assert.Single(own.ReadingNotes).In(CommandWording.Of(new TrainCommand().Build())));
        // The last word counts.
        Recipe last = Recipe.Load(folder["near.yaml"], ["training.steps=5", "training.epochs=4"]);
        Assert.Equal((4.0, null), (last.Training.Epochs, last.Training.Steps));
        Recipe first = Recipe.Load(folder["near.yaml"], ["training.epochs=4", "training.steps=5"]);
        Assert.Equal(5, first.Training.Steps);
        Recipe held = Recipe.Load(folder["near.yaml"], ["data.validation=v", "data.validation_share=0.1"]);
        Assert.Equal((0.1, 0), (held.Data.ValidationShare, held.Data.Validation.Count));
        Assert.Single(
            Recipe.Load(folder["near.yaml"], ["data.validation=v", "data.validation_share=0"]).Data.Validation);
        Assert.Empty(Recipe.Load(folder["near.yaml"], []).ReadingNotes);
    }

    [Fact]
    public void Files_that_are_missing_are_told_beside_other_problems()
    {
        Write("near.yaml", "model: ./m\ndata: {train: [t.jsonl, near.yaml]}\noutput: o\ntraining: {seed: x}\n");
        IReadOnlyList<string> problems = Assert.Throws<InputException>(() => Recipe.Load(folder["near.yaml"])).Problems;
        Assert.Equal(3, problems.Count);
        Assert.Contains("model is ./m, and there is no such folder", problems[0]);
        Assert.Contains("t.jsonl was not found", problems[1]);
    }

    [Fact]
    public void Problems_of_every_file_are_reported_at_once_each_with_its_file()
    {
        Write("base.yaml", "model: m\ndata: {train: t}\nadapter: {rank: none}\noutput: o\n");
        Write("near.yaml", "base: base.yaml\ntraining: {seed: x}\n");
        IReadOnlyList<string> problems = Assert.Throws<InputException>(() => Recipe.Load(folder["near.yaml"])).Problems;
        Assert.Equal(4, problems.Count);
        Assert.StartsWith($"{folder["near.yaml"]}, line 2", problems[0]);
        Assert.All(problems.Skip(1), problem => Assert.StartsWith(folder["base.yaml"], problem));
        Assert.Contains("line 3", problems[3]);
    }

    [Theory]
    [InlineData("none.yaml", "was not found")]
    [InlineData("a.yaml", "leads back")]
    [InlineData("preset:nothing", "there are attention")]
    [InlineData("[a, b]", "expected a recipe's file")]
    public void A_base_that_cannot_be_is_told(string named, string expected)
    {
        Write("a.yaml", "base: b.yaml\n");
        Write("b.yaml", $"base: {named}\nmodel: m\ndata: {{train: t}}\noutput: o\n");
        Assert.Contains(expected, Assert.Throws<InputException>(() => Recipe.Load(folder["a.yaml"])).Message);
    }

    [Fact]
    public void Every_preset_makes_a_recipe_and_says_what_it_is_for()
    {
        Assert.Equal(["attention", "classifier", "full", "lora", "small"], RecipePresets.Names);
        foreach (string name in RecipePresets.Names)
        {
            Write("p.yaml", $"base: preset:{name}\nmodel: m\ndata: {{train: t}}\noutput: o\n");
            Recipe recipe = Recipe.Load(folder["p.yaml"]);
            Assert.True(recipe.EffectiveLearningRate > 0);
            Assert.True(RecipePresets.Summary(name).Length > 20);
            Assert.Equal(recipe.ToYaml(), Recipe.Parse(recipe.ToYaml(), folder.Path).ToYaml());
        }
        double Rate(string name) =>
            Recipe.Parse($"base: preset:{name}\nmodel: m\ndata: {{train: t}}\noutput: o\n",
            folder.Path).EffectiveLearningRate;
        Assert.Equal(10, Rate("lora") / Rate("full"), 1e-9); // LoRA wants about ten times the rate
    }

    private void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
        File.WriteAllText(folder[name], text);
    }
}
