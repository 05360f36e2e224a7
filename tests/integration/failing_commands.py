"""Command lines that fail, each for another reason, in the folder that `test_commands_that_fail` makes.

The folder has ``upstream``, the campaign ``camp`` (two finished runs, the older one pushed, a current one with a failed quantum,
and a graph that is what would be built) and further campaigns: ``bare`` (only defined), ``strange`` (its graph imported beside
pipeline and inputs) and ``lacking`` (an input of its graph is in no collection any more).
"""

from __future__ import annotations

IN_CAMP = """
edit -c clean:nothing=1                                     | no setting
edit -c nobody:limit=1                                      | nobody
edit -c limit=1                                             | label:name=value
edit -c clean:limit=much                                    | limit
edit -C clean:missing.yaml                                  | missing.yaml
edit -t more                                                | LABEL:CLASS
edit -t more:weather_tasks.nothing                          | nothing
edit -p missing.yaml                                        | missing.yaml
edit --chain other --no-chain                               | contradict
edit -i camp                                                | own
edit -i camp/r2                                             | current
edit -i a//b                                                | a//b
edit --prepend-inputs                                       | needs
edit --next-run %x                                          | placeholder
edit --set-counter -1                                       | -1
edit --campaign-name other                                  | fixed
edit --campaign-docs new -c clean:nothing=1                 | no setting
edit --write-pipeline pipeline.yaml#clean                   | selects
edit --repo elsewhere                                       | belongs to
edit --instrument Cam --no-instrument                       | contradict
edit --dry-run -c clean:nothing=1                           | no setting
build -d "station = "                                       | too early
build --dry-run -d "station = 'nowhere'"                    | empty
build -d "nothing = 1"                                      | nothing
build -d "station = 'nowhere'"                              | empty
build -i net/none                                           | net/none
build -c clean:nothing=1                                    | no setting
build --refresh                                             | --extend-qg
build --allow-pruning                                       | --refresh
build --trim-existing-in NOWHERE                            | NOWHERE
build --skip-existing-in net/none                           | net/none
build --data-id-table missing.csv                           | missing.csv
build --write-qg /proc/none/graph.qg                        | /proc
build --qg-dot /proc/none/graph.dot                         | /proc
build --campaign-docs new --qg-dot /proc/none/graph.dot     | /proc
build --allow-empty -d "station = 'nowhere'" --extend-qg -c clean:nothing=1 | no setting
qg build -d "station = 'nowhere'"                           | empty
qg import missing.qg                                        | missing.qg
qg import pipeline.yaml                                     | pipeline.yaml
qg import camp.qg -i net/raw                                | -i
qg import camp.qg --trim-existing-in RUN                    | --refresh
qg refresh --trim-existing-in NOWHERE                       | NOWHERE
qg refresh --write-qg /proc/none/graph.qg                   | /proc
qg refresh --trim-existing-in CAMPAIGN                      | empty
qg show missing.qg                                          | missing.qg
qg draw missing.qg                                          | missing.qg
qg draw --run camp/none                                     | camp/none
draw graph --format nothing                                 | nothing
draw pipeline --format nothing                              | nothing
fetch --campaign-dir nowhere                                | not a campaign
pull --on-conflict record-difers=keep                       | record-differs
pull --on-conflict all=skip                                 | keep
register-dataset-types --use-qg-configs --use-task-configs  | contradict
prep --new-run --continue                                   | contradict
prep --use-qg-configs --use-task-configs                    | contradict
prep --purge                                                | drops none
prep -c clean:limit=7                                       | clean:limit
prep -c clean:nothing=1                                     | no setting
prep -i net/more,net/raw                                    | net/more
prep --new-run --next-run camp/r0                           | camp/r0
prep --restart --purge --use-qg-configs                     | pushed
run -j0 --new-run --replace                                 | contradict
run -j0 --rebuild --refresh                                 | contradict
run -j0 --unstore                                           | drops none
run -j0 -c clean:limit=7                                    | clean:limit
run -j0 -c clean:nothing=1                                  | no setting
run -j0 -t more:weather_tasks.summarise --use-task-configs  | more
run -j0 -i net/more,net/raw                                 | net/more
run -j0 -i net/more --rebuild                               | empty
run -j0 -d "station = 'aar'"                                | query
run -j0 --rebuild -d "station = "                           | too early
run -j0 --restart --purge                                   | pushed
run -j0 --extend-qg                                         | --rebuild
run -j0 --allow-empty                                       | --refresh
run -j0 --skip-existing-in NOWHERE                          | NOWHERE
run -j0 --timeout 5                                         | worker
run -j1 --timeout -1                                        | -1
run -j1 --wrap nothing                                      | {command}
run -j0 --memory-multiplier 0.5                             | 0.5
run -j0 --new-run --next-run camp/r0                        | camp/r0
run -j0 --new-run --run-dirs --next-run camp/data           | cannot be shown
run -j0 --pdb                                               | terminal
run -j0 --write-qg /proc/none/graph.qg                      | /proc
run --lock-timeout -1                                       | --lock-timeout
plan -c clean:nothing=1                                     | No such option
plan --new-run --replace                                    | contradict
exec missing.qg --quanta 0 --record r.zst                    | missing.qg
exec camp.qg --quanta 0-1 --record /proc/none/r             | camp
exec camp.qg --workflow none.jobs --job 0 --record r        | camp.qg
exec camp.qg --job 0 --record r                             | --workflow FILE
merge missing.zst                                           | missing.zst
merge --run camp/none                                       | camp/none
merge --run camp/r0 records.zst                             | a run too
merge pipeline.yaml                                         | pipeline.yaml
pop 9                                                       | 9
pop 2 --purge                                               | pushed
pop 9 --dry-run                                             | 9
pop -1                                                      | -1
drop camp/none                                              | camp/none
drop camp/r1                                                | push
drop net/raw --dry-run                                      | --inputs
edit --artifacts hardlink                                   | hardlink
edit --cache-size much                                      | much
fetch --artifacts hardlink                                  | hardlink
clean --keep-history 0                                      | --keep-history
clean --keep-history 1                                      | --yes
rollback 99                                                 | 99
rollback 2                                                  | --yes
rollback 0                                                  | TO
bundle export /proc/none/all.bundle                         | /proc/none
bundle export ../all.bundle camp/none                       | camp/none
bundle import missing.bundle                                | missing.bundle
bundle import pipeline.yaml                                 | no bundle
push camp/none                                              | camp/none
push                                                        | dataset type
push --only-complete camp/none                              | camp/none
push --chain net/raw --register-dataset-types camp/r1       | net/raw
push --on-conflict universe-differs=skip                    | cannot be skipped
push --on-conflict all=overwrite                            | fail or skip
push --on-conflict nothing=skip camp/r1                     | nothing
push --where "station = "                                   | too early
push --where "month = 1" --register-dataset-types camp/r1   | fulfils
push --abort camp/none                                      | camp/none
push --abort --chain other                                  | --chain
fsck --fast --full                                          | fast or full
fsck --lost total/x                                         | --repair
fsck --older-than soon                                      | soon
fsck --campaign-dir nowhere                                 | not a campaign
doctor nowhere                                              | not a campaign
status --campaign-dir nowhere                               | not a campaign
history --campaign-dir nowhere                              | not a campaign
describe nobody                                             | nobody
config show nobody                                          | nobody
log nobody                                                  | nobody
log --run camp/none                                         | camp/none
why nothing                                                 | nothing
diff camp/none camp/r0                                      | camp/none
report camp/none                                            | camp/none
report --html /proc/none/report.html                        | /proc
get nothing                                                 | nothing
get total -o /proc/none/total.json                          | /proc
query datasets nothing                                      | nothing
query data-ids nothing                                      | nothing
query records nothing                                       | nothing
query collections --repo nowhere                            | nowhere
query dataset-types --repo nowhere                          | nowhere
batch acquire missing.yaml                                  | missing.yaml
batch cluster missing.yaml                                  | missing.yaml
batch transform missing.yaml                                | missing.yaml
batch prepare missing.yaml                                  | missing.yaml
batch submit missing.yaml                                   | missing.yaml
batch submit ../pipeline.yaml                                     | no site
batch submit ../pipeline.yaml --compute-site x -d "station = "    | too early
batch submit ../pipeline.yaml --compute-site x --print -d "station = 'nowhere'" | empty
batch submit ../pipeline.yaml --compute-site x --extra-init-options y | can mean nothing here
batch submit ../pipeline.yaml --compute-site x -b elsewhere       | belongs to
batch submit .                                              | no submission
batch submitcmd ../pipeline.yaml --compute-site x                 | customJob
"""
"""Words, and what the error has to say, in the campaign ``camp``."""

ELSEWHERE = """
clone nowhere new                                           | nowhere
clone upstream camp                                         | campaign already
clone upstream readings                                     | not empty
clone upstream new -p missing.yaml                          | missing.yaml
clone upstream new -p pipeline.yaml -i net/none             | net/none
clone upstream new -p pipeline.yaml -i net/raw -d "station = 'nowhere'" | empty
clone upstream new -p pipeline.yaml -c clean:nothing=1      | no setting
clone upstream new/..                                       | name
clone postgresql://me:secret@nowhere/db new                 | password
clone upstream nowhere://bucket/new                         | nowhere://
init upstream nowhere://new                                 | nowhere://
build --repo upstream --campaign-dir nowhere://bucket/new   | nowhere://
status --campaign-dir nowhere://bucket/new                  | nowhere://
init upstream camp                                          | campaign already
init upstream new -p missing.yaml                           | missing.yaml
init upstream new --next-run %x                             | placeholder
init upstream weather_tasks.py/new                          | weather_tasks.py
init upstream new --campaign-name a/b                       | a/b
edit --repo upstream --campaign-dir new -c clean:limit=1    | clean
build --repo nowhere --campaign-dir new -p pipeline.yaml -i net/raw | nowhere
run -j0 --repo upstream --campaign-dir new -p pipeline.yaml | input
prep --repo upstream --campaign-dir new -p pipeline.yaml -i net/none | n
qg import missing.qg --repo upstream --campaign-dir new     | missing.qg
run -j0 --campaign-dir bare                                 | input
prep --campaign-dir bare                                    | graph
qg refresh --campaign-dir bare                              | graph
fetch --campaign-dir bare                                   | graph
pop --campaign-dir bare                                     | run
drop --campaign-dir bare                                    | staging
register-dataset-types --campaign-dir bare                  | pipeline
log --campaign-dir bare                                     | has no run yet
run -j0 --campaign-dir strange                              | imported
prep --campaign-dir strange                                 | imported
register-dataset-types --campaign-dir strange               | imported
qg refresh --campaign-dir lacking                           | allow-pruning
run -j0 --refresh --campaign-dir lacking                    | allow-pruning
demo camp                                                   | camp
repo create upstream                                        | upstream
repo create new --universe missing.yaml                     | missing.yaml
repo info nowhere                                           | nowhere
repo import upstream missing                                | missing
repo export upstream readings                               | readings
repo ingest upstream nothing --table readings/table.csv --run net/raw | nothing
repo ingest upstream reading --table readings/table.csv --run net/raw | net/raw
repo fsck nowhere                                           | nowhere
repo prune upstream                                         | n
repo pushes nowhere                                         | nowhere
repo unpush upstream nothing                                | nothing
transfer-from-graph missing.qg upstream                     | missing.qg
transfer-from-graph camp/camp.qg upstream                    | no run yet
repo register-collection upstream net/raw --type CHAINED    | net/raw
repo chain upstream net/raw net/more                        | net/raw
repo associate upstream net/raw -t reading -i net/raw        | net/raw
repo disassociate upstream net/raw -t reading               | net/raw
repo certify upstream net/raw -t reading -i net/raw          | net/raw
repo decertify upstream net/raw -t reading                  | net/raw
repo remove-collection upstream net/none                    | net/none
repo remove-dataset-type upstream reading                   | reading
repo register-dataset-type upstream reading Text station    | reading
repo register-dataset-types upstream -p missing.yaml        | missing.yaml
repo roles upstream --reader me                             | PostgreSQL
repo upgrade nowhere                                        | nowhere
repo query nowhere collections                              | nowhere
repo query upstream data-ids nothing                        | nothing
repo query nowhere dataset-types                            | nowhere
repo query upstream datasets nothing                        | nothing
repo query upstream records nothing                         | nothing
batch report --id 99                                        | 0 jobs found
batch status --id 99                                        | 0 jobs found
batch watch --interval 0                                    | interval
batch cancel --id 99                                        | 0 jobs found
batch cancel                                                | not said
batch restart --id 99                                       | 0 jobs found
batch ping --engine nothing                                 | nothing
batch config missing.yaml                                   | missing.yaml
"""
"""The same, beside the campaigns."""
