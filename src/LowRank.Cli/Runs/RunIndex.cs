using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace LowRank.Cli.Runs;

/// <summary>Caches what the run folders contained when they were last read, which makes a list of many long runs fast.
/// An index that is lost, damaged or from another version is rebuilt, and listing works without one if it cannot be
/// written.</summary>
internal static class RunIndex
{
    /// <summary>The index file in the folder that contains the runs.</summary>
    public const string FileName = ".runs.sqlite";

    private const int Version = 2;
    private const int Damaged = 11, NoDatabase = 26; // SQLITE_CORRUPT, SQLITE_NOTADB

    /// <summary>Lists the runs below a folder; reads only those whose files have changed since the last time.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="note">Receives the reason if the index was not used.</param>
    public static IReadOnlyList<RunRow> List(string root, Action<string> note)
    {
        IReadOnlyList<string> runs = RunFolders.Find(root);
        if (runs.Count == 0) return [];
        string path = Path.Combine(root, FileName);
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return [.. Update(path, root, runs).Select(row => RunFolders.Now(root, row))];
            }
            catch (SqliteException e) when (attempt == 0 && e.SqliteErrorCode is Damaged or NoDatabase)
            {
                note($"{path} was damaged and has been rebuilt");
                foreach (string file in new[] { path, path + "-journal" }) File.Delete(file);
            }
            catch (Exception e) when (e is SqliteException or IOException or UnauthorizedAccessException)
            {
                note($"{path} cannot be used ({e.Message.TrimEnd('.')}); every run was read");
                return [.. runs.Select(run => RunFolders.Now(root, RunFolders.Read(root, run)))];
            }
        }
    }

    // A single transaction, which waits for those of other processes.
    private static List<RunRow> Update(string path, string root, IReadOnlyList<string> runs)
    {
        using var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 10 }.ToString());
        connection.Open();
        using SqliteTransaction transaction = connection.BeginTransaction(deferred: false);
        Dictionary<string, (string Stamp, RunRow Row)> known = Known(connection, transaction);
        var rows = new List<RunRow>();
        foreach (string run in runs)
        {
            string name = Path.GetRelativePath(root, run).Replace('\\', '/'), stamp = RunFolders.Stamp(run);
            if (!known.Remove(name, out (string Stamp, RunRow Row) kept) || kept.Stamp != stamp)
            {
                kept = (stamp, RunFolders.Read(root, run));
                Execute(connection, transaction,
                    "INSERT OR REPLACE INTO runs (folder, stamp, row) VALUES ($folder, $stamp, $row)",
                    ("$folder", name), ("$stamp", stamp), ("$row", JsonSerializer.Serialize(kept.Row)));
            }
            rows.Add(kept.Row);
        }
        foreach (string gone in known.Keys)
            Execute(connection, transaction, "DELETE FROM runs WHERE folder = $folder", ("$folder", gone));
        transaction.Commit();
        return rows;
    }

    private static Dictionary<string, (string Stamp, RunRow Row)> Known(
        SqliteConnection connection, SqliteTransaction transaction)
    {
        using SqliteCommand version = connection.CreateCommand();
        (version.Transaction, version.CommandText) = (transaction, "PRAGMA user_version");
        if ((long)version.ExecuteScalar()! != Version)
        {
            Execute(connection, transaction, "DROP TABLE IF EXISTS runs");
            Execute(connection, transaction, $"PRAGMA user_version = {Version}");
        }
        Execute(connection, transaction,
            "CREATE TABLE IF NOT EXISTS runs (folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, row TEXT NOT NULL)");
        using SqliteCommand all = connection.CreateCommand();
        (all.Transaction, all.CommandText) = (transaction, "SELECT folder, stamp, row FROM runs");
        using SqliteDataReader reader = all.ExecuteReader();
        var known = new Dictionary<string, (string, RunRow)>();
        while (reader.Read())
            if (Row(reader.GetString(2)) is { } row) known.Add(reader.GetString(0), (reader.GetString(1), row));
        return known;
    }

    private static RunRow? Row(string json)
    {
        try
        {
            return JsonSerializer.Deserialize<RunRow>(json);
        }
        catch (JsonException)
        {
            return null; // the run is read again
        }
    }

    private static void Execute(
        SqliteConnection connection, SqliteTransaction transaction, string sql,
        params (string Name, string Value)[] values)
    {
        using SqliteCommand command = connection.CreateCommand();
        // All SQL texts are constants of this file; external values are passed as parameters.
        (command.Transaction, command.CommandText) = (transaction, sql);
        foreach ((string name, string value) in values) command.Parameters.AddWithValue(name, value);
        command.ExecuteNonQuery();
    }
}

/// <summary>A run in the list of runs. Values that its folder does not contain are null.</summary>
/// <param name="Folder">Relative to the folder that was searched, with slashes.</param>
/// <param name="State">running, finished, stopped, killed, or ended (a run of an older version, which does not record
/// how it ended).</param>
/// <param name="Steps">Steps taken.</param>
/// <param name="PlannedSteps">Planned number of steps.</param>
/// <param name="BestLoss">The lowest held-out loss, in nats.</param>
/// <param name="BestStep">Its step.</param>
/// <param name="Method">The recipe's <c>adapter.method</c>.</param>
/// <param name="Rank">The recipe's <c>adapter.rank</c>; null if the method has none.</param>
/// <param name="LearningRate">The peak rate.</param>
/// <param name="Seconds">Time spent in steps.</param>
/// <param name="Changed">When it was last written to.</param>
internal sealed record RunRow(
    string Folder, string State, long? Steps, long? PlannedSteps, double? BestLoss, long? BestStep, string? Method,
    int? Rank, double? LearningRate, double? Seconds, DateTimeOffset Changed)
{
    /// <summary>The problems of the run's files, one clause each; the row contains what the other files say.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];
}
