using LowRank.Server;

namespace LowRank.ServerTests;

/// <summary>A server with a writing model and two adapters, one for all tests that do not change it.</summary>
public sealed class WriterFixture : IAsyncLifetime
{
    public const string Name = "writer";

    private RunningServer server = null!;

    public TinyModels Models { get; } = new();

    public RunningServer Server => server;

    public static ServerOptions Options(TinyModels models) =>
        RunningServer.Options(models.Writer, ("golden", models.Adapter), ("trained", models.OtherAdapter));

    public async ValueTask InitializeAsync() => server = await RunningServer.Start(Options(Models));

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        Models.Dispose();
    }
}

/// <summary>The tests that share the writer.</summary>
[CollectionDefinition(WriterFixture.Name)]
public sealed class WriterCollection : ICollectionFixture<WriterFixture>;
