using LowRank.Adapters;
using LowRank.Models;

namespace LowRank.Tests.Facade;

/// <summary>A base is open no more often than what is in use needs.</summary>
public sealed class OpenedBasesTests : IDisposable
{
    private readonly LoadedModel tiny = new();
    private readonly TemporaryFolder folder = new();

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    // An adapter for embeddings needs a base without a head.
    private string Embedder()
    {
        using PretrainedModel model = PretrainedModel.Open(tiny.Path, head: new HeadRequest(HeadKind.None, 0));
        using Adapter adapter = Adapter.Create(model, new LoraConfig { Rank = 1 }, 1);
        adapter.Task = new AdapterTask("embedding");
        adapter.Save(folder["embedder"]);
        return folder["embedder"];
    }

    [Fact]
    public void Texts_are_embedded_by_the_base_that_is_open()
    {
        using var bases = new OpenedBases(tiny.Path, LoadedModel.Options);
        PretrainedModel own = bases.Use(null).Model;
        Assert.Equal(HeadKind.LanguageModel, own.Network.HeadKind);
        Assert.Same(own, bases.UseWhole(null, "embedding").Model);
        Assert.Equal(1, bases.Count);
    }

    [Fact]
    public void A_base_that_was_opened_for_an_adapter_is_closed_with_it()
    {
        using var bases = new OpenedBases(tiny.Path, LoadedModel.Options);
        bases.Use(null);
        LoadedAdapter loaded = bases.Load(null!, "one", Embedder());
        Assert.Equal(2, bases.Count);
        Assert.Same(loaded.Engine, bases.Use(loaded).Adapter);
        bases.Remove(loaded);
        Assert.Equal(1, bases.Count);
        Assert.Null(bases.Use(null).Adapter);
    }

    [Fact]
    public void An_adapter_that_cannot_be_used_leaves_nothing_behind()
    {
        using var bases = new OpenedBases(tiny.Path, LoadedModel.Options);
        bases.Use(null);
        string path = Embedder();
        File.WriteAllText(Path.Combine(path, "adapter_model.safetensors"), "no tensors");
        Assert.Throws<InputException>(() => bases.Load(null!, "one", path));
        Assert.Equal(1, bases.Count);
        // What fails only as it is put to use is taken back, too.
        Embedder();
        string tokenizer = Path.Combine(tiny.Path, "tokenizer.json"), whole = File.ReadAllText(tokenizer);
        File.WriteAllText(tokenizer, "{");
        Assert.Throws<InputException>(() => bases.Load(null!, "one", path));
        Assert.Equal(1, bases.Count);
        File.WriteAllText(tokenizer, whole);
        Assert.NotNull(bases.Load(null!, "one", path));
    }

    [Fact]
    public void A_base_is_lent_only_as_it_is_open()
    {
        using var bases = new OpenedBases(tiny.Path, LoadedModel.Options);
        PretrainedModel own = bases.Use(null).Model;
        Assert.Same(own, bases.Lend(tiny.Path, HeadKind.LanguageModel, 0, new BaseForm()));
        Assert.Null(bases.Lend(tiny.Path, HeadKind.LanguageModel, 0, new BaseForm("nf4")));
        Assert.Null(bases.Lend(tiny.Path, HeadKind.LanguageModel, 0, new BaseForm(Compute: "bfloat16")));
        Assert.Null(bases.Lend(tiny.Path, HeadKind.LanguageModel, 0, new BaseForm(Head: "base")));
        Assert.Null(bases.Lend(tiny.Path, HeadKind.LanguageModel, 40, new BaseForm()));
        Assert.Null(bases.Lend(tiny.Path, HeadKind.None, 0, new BaseForm()));
        Assert.Null(bases.Lend(folder.Path, HeadKind.LanguageModel, 0, new BaseForm()));
        bases.Load(null!, "one", Embedder());
        Assert.NotNull(bases.Lend(tiny.Path, HeadKind.None, 0, new BaseForm()));
        Assert.Null(bases.Lend(tiny.Path, HeadKind.SequenceClassification, 0, new BaseForm()));
    }
}
